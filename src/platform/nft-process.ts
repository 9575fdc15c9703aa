import { TcomposeError } from '../base/errors.ts'
import { createCoprocess } from './coprocess.ts'

export interface Nft extends Disposable {
  /** Applies commands as one transaction: all of them or none. @throws TcomposeError FAILED with what nft said */
  apply(commands: readonly string[]): Promise<void>
  /** Output of one command; undefined when what it names does not exist. */
  query(command: string): Promise<string | undefined>
}

const NOWHERE = 'tcompose-marker-'

/** Keeps an `nft -i`: 0.35 ms for a transaction instead of 5. */
export function createNft(): Nft {
  const process = createCoprocess({
    program: 'nft',
    args: ['-i'],
    // Listing a table that cannot exist fails in a way that names it.
    marker: (count) => `list table inet ${NOWHERE}${count}`,
    markerSeen(output, count) {
      const at = output.indexOf(`list table inet ${NOWHERE}${count}\n`)
      return at < 0 ? -1 : Math.max(0, output.lastIndexOf('Error:', at))
    },
  })
  const send = (commands: readonly string[]): Promise<string> => process.send(commands.join('; '))
  return {
    async apply(commands) {
      if (commands.length === 0) return
      const output = await send(commands)
      if (/Error:/.test(output)) throw new TcomposeError('FAILED', `nft: ${firstError(output)}`)
    },
    async query(command) {
      const output = await send([command])
      if (/No such file or directory/.test(output)) return undefined
      if (/^Error:/m.test(output)) throw new TcomposeError('FAILED', `nft: ${firstError(output)}`)
      return output
    },
    [Symbol.dispose]: () => process[Symbol.dispose](),
  }
}

function firstError(output: string): string {
  return (/Error:\s*([^\n]*)/.exec(output)?.[1] ?? output).trim()
}

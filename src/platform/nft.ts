import { isTcomposeError, TcomposeError } from '../base/errors.ts'
import { type CoProcess, createCoProcess } from './co-process.ts'
import { run } from './exec.ts'

interface Waiting {
  readonly statements: readonly string[]
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

let kept: CoProcess | undefined
let waiting: Waiting[] = []

/**
 * Applies statements as one transaction: all or none. Calls of the same moment share one, as the kernel takes longer
 * for a transaction than for what is in it; when that is refused, each is tried by itself.
 * The statements must not hold `!`, which an interactive nft takes for a reference to its history.
 * @throws TcomposeError NOT_FOUND when a table, map or element is missing, CONFLICT when it exists otherwise,
 *   UNAVAILABLE for anything else; with nft's own words
 */
export function nft(statements: readonly string[]): Promise<void> {
  if (statements.length === 0) return Promise.resolve()
  return new Promise((resolve, reject) => {
    waiting.push({ statements, resolve, reject })
    if (waiting.length === 1) setImmediate(() => void flush())
  })
}

async function flush(): Promise<void> {
  const batch = waiting
  waiting = []
  try {
    await apply(batch.flatMap((one) => one.statements))
    for (const one of batch) one.resolve()
  } catch (error) {
    const [only] = batch
    if (only && batch.length === 1) return only.reject(error)
    for (const one of batch) apply(one.statements).then(one.resolve, one.reject)
  }
}

async function apply(statements: readonly string[]): Promise<void> {
  const complaints = await ask(statements.join('; '))
  if (complaints !== '') throw nftError(complaints)
}

async function ask(line: string): Promise<string> {
  kept ??= createCoProcess('nft', ['-i'], tidy)
  try {
    return await kept.ask([line])
  } catch (error) {
    if (!isTcomposeError(error, 'UNAVAILABLE')) throw error
    // It was killed under us. Whether the kernel has taken the transaction is unknown: callers' statements bear both.
    return await kept.ask([line])
  }
}

/** Whether there is such a thing: `chain inet filter forward`, `table ip nat`. */
export async function nftHas(what: string): Promise<boolean> {
  const complaints = await ask(`list ${what}`)
  if (complaints === '') return true
  const error = nftError(complaints)
  if (error.code === 'NOT_FOUND') return false
  throw error
}

function nftError(complaints: string): TcomposeError {
  const first = complaints.split('\n').find((line) => line.includes('Error:')) ?? complaints
  const code = /No such file|does not exist/.test(complaints)
    ? 'NOT_FOUND'
    : /File exists|overlaps with an existing/.test(complaints)
      ? 'CONFLICT'
      : 'UNAVAILABLE'
  return new TcomposeError(code, `nft: ${first.replace(/^.*?Error: /, '').slice(0, 300)}`, { cause: complaints })
}

/** Around a mark nft says that it is a syntax error, and points at it. */
function tidy(complaints: string): string {
  return complaints
    .replace(/^\n?\s*\^+\s*\n/, '')
    .replace(/[^\n]*Error: syntax error[^\n]*\n[^\S\n]*$/, '')
    .trim()
}

/** Applies a whole script as one transaction, by a process of its own: for what is done once. */
export async function nftScript(script: string): Promise<void> {
  await run('nft', ['-f', '-'], { input: script })
}

/** What `nft list …` prints, with handles; undefined when there is no such thing. */
export async function nftListing(args: readonly string[]): Promise<string | undefined> {
  const { code, stdout } = await run('nft', ['-a', 'list', ...args], { okCodes: [0, 1] })
  return code === 0 ? stdout : undefined
}

import { Readable } from 'node:stream'
import { errnoOf, isTcomposeError } from '../../base/errors.ts'
import { decompressed, peek } from '../content/compression.ts'

const BLOCK = 512

/**
 * Whether content is a tar, plain or compressed, by its first block. An empty archive (zeros alone) counts as none
 * when compressed content ends before a block: such files are copied as they are.
 */
export async function isArchive(open: () => AsyncIterable<Uint8Array>): Promise<boolean> {
  try {
    const { stream } = await decompressed(Readable.from(open(), { objectMode: false }))
    const { head, stream: rest } = await peek(stream, BLOCK)
    rest.on('error', () => {})
    rest.destroy()
    return head.length === BLOCK && isTarHeader(Buffer.from(head))
  } catch (error) {
    if (isTcomposeError(error) || errnoOf(error) !== undefined) return false
    throw error
  }
}

function isTarHeader(block: Buffer): boolean {
  if (block.every((byte) => byte === 0)) return false
  const stored = Number.parseInt(block.toString('latin1', 148, 156).replace(/\0.*$/s, '').trim() || 'x', 8)
  let sum = 0
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 32 : (block[i] as number)
  return stored === sum
}

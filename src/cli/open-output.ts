import type { WriteStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { errnoOf, TcomposeError } from '../base/errors.ts'

/** A file to write results to; opened at once, so that a bad path is told before any work. @throws TcomposeError */
export async function openOutput(path: string): Promise<WriteStream> {
  try {
    const file = await open(path, 'w')
    return file.createWriteStream()
  } catch (cause) {
    const errno = errnoOf(cause)
    const why = errno === 'ENOENT' ? 'its directory does not exist' : (errno ?? 'it cannot be opened')
    throw new TcomposeError(errno === 'EACCES' ? 'DENIED' : 'NOT_FOUND', `cannot write ${path}: ${why}`, { cause })
  }
}

import type { FileHandle } from 'node:fs/promises'
import { type LogFile, readLogFile } from './logs-files.ts'

const BLOCK_BYTES = 64 * 1024
const NEWLINE = 0x0a

/** Where reading begins: in file number `file`, after `skipLines` of its lines if it is compressed, else at `offset`. */
export interface LogStart {
  readonly file: number
  readonly offset: number
  readonly skipLines: number
}

/** Finds the last `lines` lines of a log, reading it from its end and no further than needed. */
export async function findTail(files: readonly LogFile[], lines: number): Promise<LogStart> {
  let missing = lines
  for (let file = files.length - 1; file >= 0; file--) {
    const { handle, compressed } = files[file] as LogFile
    if (compressed) {
      const count = await countLines(files[file] as LogFile)
      if (count >= missing) return { file, offset: 0, skipLines: count - missing }
      missing -= count
    } else {
      const found = await lastLines(handle, missing)
      if (found.lines === missing) return { file, offset: found.offset, skipLines: 0 }
      missing -= found.lines
    }
  }
  return { file: 0, offset: 0, skipLines: 0 }
}

/** Offset of the last `wanted` whole lines of a file, or of as many as it has. */
async function lastLines(
  handle: FileHandle,
  wanted: number,
): Promise<{ readonly lines: number; readonly offset: number }> {
  const { size } = await handle.stat()
  const buffer = Buffer.allocUnsafe(BLOCK_BYTES)
  // One newline more than lines: the one before the first. An unfinished line at the end comes on top for a follower.
  let newlines = 0
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - BLOCK_BYTES)
    await readFully(handle, buffer, end - start, start)
    for (let at = end - start - 1; at >= 0; at--) {
      at = buffer.lastIndexOf(NEWLINE, at)
      if (at === -1) break
      if (newlines === wanted) return { lines: wanted, offset: start + at + 1 }
      newlines++
    }
    end = start
  }
  return { lines: newlines, offset: 0 }
}

async function readFully(handle: FileHandle, buffer: Buffer, length: number, position: number): Promise<void> {
  for (let done = 0; done < length; ) {
    const { bytesRead } = await handle.read(buffer, done, length - done, position + done)
    if (bytesRead === 0) {
      buffer.fill(0, done, length)
      return
    }
    done += bytesRead
  }
}

async function countLines(file: LogFile): Promise<number> {
  let count = 0
  for await (const chunk of readLogFile(file, 0)) {
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, at + 1)) count++
  }
  return count
}

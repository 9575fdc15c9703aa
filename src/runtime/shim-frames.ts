/** Types of the frames between a shim and its clients: shim/protocol.h, whose order and words these are. */
export const Frame = {
  launch: 0x4c,
  start: 0x53,
  attach: 0x41,
  stdin: 0x49,
  closeStdin: 0x43,
  resize: 0x57,
  signal: 0x4b,
  exec: 0x45,
  resolve: 0x4e,
  answer: 0x61,
  configure: 0x46,
  hello: 0x48,
  ready: 0x52,
  started: 0x50,
  output: 0x4f,
  ended: 0x58,
  execEnded: 0x78,
  failed: 0x5a,
  query: 0x71,
  oom: 0x4d,
  done: 0x44,
} as const

const HEADER = 6
/** Longest payload either side may send. */
const LIMIT = 4 << 20

export interface ReceivedFrame {
  readonly type: number
  readonly stream: number
  readonly payload: Buffer
}

export function encodeFrame(type: number, payload: Uint8Array = new Uint8Array(), stream = 0): Buffer {
  if (payload.length > LIMIT) throw new RangeError(`a frame of ${payload.length} bytes is too long`)
  const frame = Buffer.allocUnsafe(HEADER + payload.length)
  frame[0] = type
  frame[1] = stream
  frame.writeUInt32BE(payload.length, 2)
  frame.set(payload, HEADER)
  return frame
}

/** @throws RangeError when one holds a NUL, which would end it */
export function encodeStrings(strings: readonly string[]): Buffer {
  for (const text of strings) {
    if (text.includes('\0')) throw new RangeError(`${JSON.stringify(text)} holds a NUL`)
  }
  return Buffer.from(strings.map((text) => `${text}\0`).join(''))
}

export function decodeStrings(payload: Buffer): string[] {
  const strings = payload.toString().split('\0')
  strings.pop()
  return strings
}

/** Takes a byte stream apart into frames; payloads may share memory with the chunks given. */
export class FrameReader {
  #held: Buffer[] = []
  #length = 0

  /** @throws RangeError for what is not the protocol */
  push(chunk: Buffer): readonly ReceivedFrame[] {
    const frames: ReceivedFrame[] = []
    this.#held.push(chunk)
    this.#length += chunk.length
    for (;;) {
      if (this.#length < HEADER) return frames
      let first = this.#first(HEADER)
      const length = first.readUInt32BE(2)
      if (length > LIMIT) throw new RangeError(`a frame of ${length} bytes is too long`)
      const whole = HEADER + length
      if (this.#length < whole) return frames
      first = this.#first(whole)
      frames.push({ type: first[0] ?? 0, stream: first[1] ?? 0, payload: first.subarray(HEADER, whole) })
      this.#held[0] = first.subarray(whole)
      if (this.#held[0].length === 0) this.#held.shift()
      this.#length -= whole
    }
  }

  /** The first of the held buffers, with at least `length` bytes. */
  #first(length: number): Buffer {
    let first = this.#held[0] ?? Buffer.alloc(0)
    if (first.length >= length) return first
    first = Buffer.concat(this.#held)
    this.#held = [first]
    return first
  }
}

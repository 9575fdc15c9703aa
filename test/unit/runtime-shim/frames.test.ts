import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeStrings, encodeFrame, encodeStrings, FrameReader } from '../../../src/runtime/shim-frames.ts'

test('frames come out as they went in, however the stream is cut', () => {
  const frame = fc.record({
    type: fc.integer({ min: 0, max: 255 }),
    stream: fc.integer({ min: 0, max: 255 }),
    payload: fc.uint8Array({ maxLength: 300 }),
  })
  fc.assert(
    fc.property(fc.array(frame), fc.array(fc.integer({ min: 1, max: 50 })), (frames, cuts) => {
      const stream = Buffer.concat(frames.map(({ type, stream, payload }) => encodeFrame(type, payload, stream)))
      const reader = new FrameReader()
      const read = []
      for (let at = 0, turn = 0; at < stream.length; turn++) {
        const length = cuts[turn % Math.max(1, cuts.length)] ?? stream.length
        read.push(...reader.push(stream.subarray(at, at + length)))
        at += length
      }
      expect(read.map(({ type, stream, payload }) => ({ type, stream, payload: [...payload] }))).toEqual(
        frames.map(({ type, stream, payload }) => ({ type, stream, payload: [...payload] })),
      )
    }),
  )
})

test('a frame that is too long is refused before it is held', () => {
  const reader = new FrameReader()
  expect(() => reader.push(Buffer.from([0x4f, 1, 0xff, 0xff, 0xff, 0xff]))).toThrow(RangeError)
})

test('strings come out as they went in; a NUL in one is refused', () => {
  expect(decodeStrings(encodeStrings(['', 'ä', 'two words', '']))).toEqual(['', 'ä', 'two words', ''])
  expect(() => encodeStrings(['a\0b'])).toThrow(/holds a NUL/)
})

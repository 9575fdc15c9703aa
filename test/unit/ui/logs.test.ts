import { Writable } from 'node:stream'
import { expect, test } from 'vitest'
import { createLogPrinter } from '../../../src/ui/logs.ts'

function collector(): { stream: Writable; text: () => string } {
  let text = ''
  return {
    stream: new Writable({
      write(chunk, _encoding, done) {
        text += chunk
        done()
      },
    }),
    text: () => text,
  }
}

function printer(options: { color?: boolean; prefix?: boolean; timestamps?: boolean; names?: string[] } = {}) {
  const out = collector()
  const err = collector()
  const print = createLogPrinter({
    stdout: out.stream,
    stderr: err.stream,
    color: options.color ?? false,
    prefix: options.prefix ?? true,
    timestamps: options.timestamps ?? false,
    names: options.names ?? [],
  })
  return { print, out: out.text, err: err.text }
}

test('prefixes are padded to the longest name', async () => {
  const { print, out } = printer({ names: ['web-1', 'database-1'] })
  void print.write('web-1', 'stdout', 'a\nb\n')
  void print.write('database-1', 'stdout', 'c\n')
  await print.flush()
  expect(out()).toBe('web-1       | a\nweb-1       | b\ndatabase-1  | c\n')
})

test('an unfinished line waits for its rest and is printed at the end', async () => {
  const { print, out } = printer()
  void print.write('a', 'stdout', 'one ')
  void print.write('b', 'stdout', 'other\n')
  void print.write('a', 'stdout', 'two\nthree')
  await print.flush()
  expect(out()).toBe('b  | other\na  | one two\na  | three\n')
})

test('stderr of a container goes to stderr', async () => {
  const { print, out, err } = printer({ prefix: false })
  void print.write('a', 'stderr', 'oops\n')
  await print.flush()
  expect([out(), err()]).toEqual(['', 'oops\n'])
})

test('timestamps stand between prefix and text', async () => {
  const { print, out } = printer({ timestamps: true })
  void print.write('a', 'stdout', 'x\n', '2026-01-01T00:00:00.000000001Z')
  await print.flush()
  expect(out()).toBe('a  | 2026-01-01T00:00:00.000000001Z x\n')
})

test('a status line is printed after what was written before it', async () => {
  const { print, out } = printer()
  void print.write('a', 'stdout', 'x\n')
  print.status('a', 'exited with code 3')
  await print.flush()
  expect(out()).toBe('a  | x\na exited with code 3\n')
})

test('a colour belongs to the place of a name', async () => {
  const { print, out } = printer({ color: true, names: ['a', 'b'] })
  void print.write('b', 'stdout', 'x\n')
  await print.flush()
  expect(out()).toBe('\x1b[33mb  | \x1b[0mx\n')
})

test('a line without end is printed in parts', async () => {
  const { print, out } = printer({ prefix: false })
  for (let i = 0; i < 40; i++) void print.write('a', 'stdout', 'x'.repeat(10_000))
  expect(out().length).toBeGreaterThan(200_000)
  await print.flush()
  expect(out().replaceAll('\n', '').length).toBe(400_000)
})

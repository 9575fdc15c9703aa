import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { assertReadableLog, readLogBatches, readLogs } from '../../../src/engine/containers/logs.ts'
import { mergeByTime } from '../../../src/engine/containers/logs-merge.ts'
import type { LogLine, LogQuery } from '../../../src/engine/containers/types.ts'
import { eventually } from '../../support/eventually.ts'

let dir: string
let path: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'tct-logs-'))
  path = join(dir, 'c-json.log')
})
afterEach(() => rmSync(dir, { recursive: true }))

const entry = (text: string, second = 0, stream = 'stdout'): string =>
  `${JSON.stringify({ log: text, stream, time: timeOf(second) })}\n`
const timeOf = (second: number): string => `2026-03-01T10:00:${String(second).padStart(2, '0')}.5Z`
const lines = (...texts: string[]): string => texts.map((text) => entry(`${text}\n`)).join('')

async function read(query: LogQuery = {}, running: () => boolean = () => false): Promise<string[]> {
  const texts: string[] = []
  for await (const line of readLogs(path, query, running)) texts.push(line.text.replace('\n', ''))
  return texts
}

describe('reading to the end', () => {
  test('rotated files come oldest first, compressed ones too', async () => {
    writeFileSync(`${path}.3.gz`, gzipSync(lines('a', 'b')))
    writeFileSync(`${path}.2.gz`, gzipSync(lines('c')))
    writeFileSync(`${path}.1`, lines('d', 'e'))
    writeFileSync(`${path}.1.gz`, 'is being made')
    writeFileSync(path, lines('f'))
    expect(await read()).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
  })

  test('tail reaches over files and reads whole lines only', async () => {
    writeFileSync(`${path}.2.gz`, gzipSync(lines('a', 'b')))
    writeFileSync(`${path}.1`, lines('c', 'd'))
    writeFileSync(path, `${lines('e', 'f')}{"log":"torn`)
    expect(await read({ tail: 0 })).toEqual([])
    expect(await read({ tail: 1 })).toEqual(['f'])
    expect(await read({ tail: 3 })).toEqual(['d', 'e', 'f'])
    expect(await read({ tail: 5 })).toEqual(['b', 'c', 'd', 'e', 'f'])
    expect(await read({ tail: 50 })).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
  })

  test('tail finds its place in a file of many blocks', async () => {
    const texts = Array.from({ length: 5000 }, (_, n) => `line ${n} ${'x'.repeat(n % 97)}`)
    writeFileSync(path, lines(...texts))
    for (const tail of [1, 2, 777, 4999, 5000, 5001]) expect(await read({ tail })).toEqual(texts.slice(-tail))
  })

  test('every text that JSON can hold comes back, and parts stay parts', async () => {
    const texts = [
      'plain\n',
      'say "hi"\n',
      'back\\slash\\n\n',
      'tab\t\u001b[31mred\n',
      'žluť 😀\n',
      '\n',
      '',
      'a part',
      '\\',
    ]
    writeFileSync(path, texts.map((text) => entry(text)).join(''))
    const seen: string[] = []
    for await (const line of readLogs(path, {}, () => false)) seen.push(line.text)
    expect(seen).toEqual(texts)
  })

  test('lines in another layout are understood, damaged ones left out', async () => {
    writeFileSync(
      path,
      `${lines('a')}{"log":"torn by a crash${lines('after')}` +
        '{"log":"b\\n","stream":"stderr","attrs":{"tag":"x","time":"y"},"time":"2026-03-01T10:00:00Z"}\n' +
        '{ "time": "2026-03-01T11:00:00+01:00", "stream": "stdout", "log": "c\\n" }\n' +
        `\n\0\0\0\0\n${lines('d')}`,
    )
    expect(await read()).toEqual(['a', 'b', 'c', 'd'])
  })

  test('streams and times select', async () => {
    writeFileSync(path, [0, 1, 2, 3].map((n) => entry(`${n}\n`, n, n % 2 ? 'stderr' : 'stdout')).join(''))
    expect(await read({ stderr: false })).toEqual(['0', '2'])
    expect(await read({ stdout: false })).toEqual(['1', '3'])
    expect(await read({ since: '2026-03-01T10:00:01.5Z' })).toEqual(['1', '2', '3'])
    expect(await read({ since: '2026-03-01T10:00:01.500000001Z' })).toEqual(['2', '3'])
    expect(await read({ until: '2026-03-01T12:00:01.5+02:00' })).toEqual(['0', '1'])
    expect(await read({ since: `${Date.parse(timeOf(2)) / 1000}` })).toEqual(['2', '3'])
    await expect(read({ since: 'yesterday' })).rejects.toMatchObject({ code: 'INVALID' })
  })

  test('no log at all is an empty log', async () => {
    expect(await read()).toEqual([])
    expect(await read({ tail: 3, follow: true })).toEqual([])
  })

  test('a driver that keeps nothing is refused in the words of Docker', () => {
    expect(() => assertReadableLog('none')).toThrow('configured logging driver does not support reading')
    assertReadableLog('json-file')
  })
})

/** Rotates as the shim does. */
function rotate(compress: boolean, maxFiles = 4): void {
  for (let n = maxFiles - 1; n > 1; n--) {
    for (const end of ['', '.gz']) {
      rmSync(`${path}.${n}${end}`, { force: true })
      if (existsSync(`${path}.${n - 1}${end}`)) renameSync(`${path}.${n - 1}${end}`, `${path}.${n}${end}`)
    }
  }
  renameSync(path, `${path}.1`)
  writeFileSync(path, '', { flag: 'wx' })
  if (!compress) return
  writeFileSync(`${path}.1.gz`, gzipSync(readFileSync(`${path}.1`)))
  rmSync(`${path}.1`)
}

/** The link names where a file is now: one that was rotated away has another name. */
function holdsCurrent(): boolean {
  return readdirSync('/proc/self/fd').some((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === realpathSync(path)
    } catch {
      // Closed meanwhile by somebody else in this process.
      return false
    }
  })
}

/** A look that meets a rotation lets go of what it opened and looks again: only who keeps a file has it. */
async function holdsForGood(): Promise<boolean> {
  for (let looks = 0; looks < 25; looks++) {
    if (!holdsCurrent()) return false
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return true
}

describe('following', () => {
  for (const compress of [false, true]) {
    test(`no line is lost or repeated over rotations${compress ? ' with compression' : ''}`, async () => {
      writeFileSync(path, lines('0'))
      let running = true
      const seen: string[] = []
      const reading = (async () => {
        for await (const line of readLogs(path, { follow: true }, () => running)) seen.push(line.text.trim())
      })()
      for (let n = 1; n < 400; n++) {
        // Half of a line first: the reader must wait for the rest.
        const line = lines(String(n))
        appendFileSync(path, line.slice(0, 9))
        if (n % 7 === 0) await new Promise((resolve) => setImmediate(resolve))
        appendFileSync(path, line.slice(9))
        if (n % 40 !== 0) continue
        // Three files are kept: more than two rotations before the reader has had a turn would be more than it can bear.
        await eventually(() => seen.length > n - 60)
        rotate(compress)
      }
      running = false
      await reading
      expect(seen).toEqual(Array.from({ length: 400 }, (_, n) => String(n)))
    })
  }

  test('a reader that stands still keeps what rotation takes away', async () => {
    writeFileSync(path, lines('0'))
    let running = true
    const source = readLogs(path, { follow: true }, () => running)
    const seen = [(await source.next()).value?.text.trim()]
    const next = source.next()
    appendFileSync(path, lines('1'))
    seen.push((await next).value?.text.trim())
    for (let n = 2; n < 10; n++) {
      appendFileSync(path, lines(String(n)))
      rotate(false, 2)
      // The follower's own turn; the reader asks for nothing meanwhile.
      await eventually(holdsForGood, 60_000)
    }
    running = false
    for await (const line of source) seen.push(line.text.trim())
    expect(seen).toEqual(Array.from({ length: 10 }, (_, n) => String(n)))
  })

  test('tail and follow begin at the last lines and go on', async () => {
    writeFileSync(path, lines('a', 'b', 'c'))
    let running = true
    const source = readLogs(path, { follow: true, tail: 1 }, () => running)
    expect((await source.next()).value?.text).toBe('c\n')
    appendFileSync(path, lines('d'))
    expect((await source.next()).value?.text).toBe('d\n')
    running = false
    expect((await source.next()).done).toBe(true)
  })

  test('a log that appears later is followed, and aborting ends it', async () => {
    const controller = new AbortController()
    const source = readLogs(path, { follow: true }, () => true, controller.signal)
    const first = source.next()
    await new Promise((resolve) => setTimeout(resolve, 20))
    writeFileSync(path, lines('a'))
    expect((await first).value?.text).toBe('a\n')
    const last = source.next()
    controller.abort()
    expect((await last).done).toBe(true)
  })

  test('until ends a follower when its time has passed', async () => {
    writeFileSync(path, lines('a'))
    expect(await read({ follow: true, until: new Date(Date.now() + 50).toISOString() }, () => true)).toEqual(['a'])
  })
})

test('several logs merge by time, each in its own order', async () => {
  const batches = async function* (...parts: readonly LogLine[][]): AsyncGenerator<readonly LogLine[]> {
    for (const part of parts) yield await Promise.resolve(part)
  }
  const at = (second: number, text: string): LogLine => ({ stream: 'stdout', time: timeOf(second), text })
  const merged: string[] = []
  for await (const { key, lines } of mergeByTime([
    { key: 'a', batches: batches([at(0, '0'), at(3, '3')], [at(1, 'back'), at(6, '6')]) },
    { key: 'b', batches: batches([at(1, '1')], [at(2, '2'), at(4, '4'), at(5, '5')]) },
    { key: 'c', batches: batches() },
  ])) {
    merged.push(...lines.map((line) => key + line.text))
  }
  expect(merged).toEqual(['a0', 'b1', 'b2', 'a3', 'aback', 'b4', 'b5', 'a6'])
})

test('a hundred thousand lines arrive in batches', async () => {
  writeFileSync(path, Array.from({ length: 100_000 }, (_, n) => entry(`${n} ${'word '.repeat(12)}\n`, n % 60)).join(''))
  let count = 0
  let batches = 0
  for await (const batch of readLogBatches(path, {}, () => false)) {
    count += batch.length
    batches++
  }
  expect(count).toBe(100_000)
  expect(batches).toBeGreaterThan(1)
})

/** One entry of an archive made for a test; what is not said has a plain default. */
export interface TarEntry {
  readonly name: string
  readonly type?: string
  readonly data?: string | Uint8Array
  readonly link?: string
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly mtime?: number
  readonly major?: number
  readonly minor?: number
  /** Instead of the length of `data`. */
  readonly size?: number
  /** Records of an extended header before the entry; values are bytes in latin1. */
  readonly pax?: Readonly<Record<string, string>>
}

/** A tar archive, well-formed unless an entry is told not to be. */
export function makeTar(entries: readonly TarEntry[]): Buffer {
  const parts = entries.flatMap((entry) => [
    ...(entry.pax ? block({ name: 'pax', type: 'x', data: paxData(entry.pax) }) : []),
    ...block(entry),
  ])
  return Buffer.concat([...parts, Buffer.alloc(1024)])
}

function block(entry: TarEntry): Buffer[] {
  const header = Buffer.alloc(512)
  const data = Buffer.from(entry.data ?? '')
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, '0')
  header.write(entry.name, 0, 100)
  header.write(octal(entry.mode ?? (entry.type === '5' ? 0o755 : 0o644), 7), 100)
  header.write(octal(entry.uid ?? 0, 7), 108)
  header.write(octal(entry.gid ?? 0, 7), 116)
  header.write(octal(entry.size ?? data.length, 11), 124)
  header.write(octal(entry.mtime ?? 1_700_000_000, 11), 136)
  header.write(entry.type ?? '0', 156)
  header.write(entry.link ?? '', 157, 100)
  header.write('ustar\x0000', 257, 'latin1')
  header.write(octal(entry.major ?? 0, 7), 329)
  header.write(octal(entry.minor ?? 0, 7), 337)
  header.fill(' ', 148, 156)
  let sum = 0
  for (const byte of header) sum += byte
  header.write(`${octal(sum, 6)}\0 `, 148, 'latin1')
  return [header, data, Buffer.alloc((512 - (data.length % 512)) % 512)]
}

function paxData(records: Readonly<Record<string, string>>): Buffer {
  const lines = Object.entries(records).map(([key, value]) => {
    const body = ` ${key}=${value}\n`
    let length = body.length + 1
    while (`${length}${body}`.length !== length) length = `${length}${body}`.length
    return Buffer.from(`${length}${body}`, 'latin1')
  })
  return Buffer.concat(lines)
}

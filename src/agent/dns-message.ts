/** What the resolver needs of RFC 1035 messages: one question in, one kind of records out. */

export const TYPE_A = 1
export const TYPE_PTR = 12
export const TYPE_AAAA = 28
const TYPE_OPT = 41
const CLASS_IN = 1

export const NOERROR = 0
export const FORMERR = 1
export const SERVFAIL = 2
export const NOTIMP = 4
export const REFUSED = 5

const HEADER_BYTES = 12
const PLAIN_UDP_BYTES = 512
/** What we say we take over UDP; larger is likely to be cut into fragments. */
const OUR_UDP_BYTES = 1232

export interface Question {
  /** Lower case, without the final dot. */
  readonly name: string
  readonly type: number
  readonly isInternet: boolean
  /** Where the question section ends. */
  readonly end: number
  /** Largest answer the asker takes over UDP; undefined without EDNS. */
  readonly udpBytes: number | undefined
}

/** Reads a query with exactly one question. @returns the response code to refuse it with when it is none */
export function readQuestion(query: Buffer): Question | typeof FORMERR | typeof NOTIMP {
  if (query.length < HEADER_BYTES || isResponse(query)) return FORMERR
  if (((query[2] as number) & 0x78) !== 0) return NOTIMP
  if (query.readUInt16BE(4) !== 1) return FORMERR
  const labels: string[] = []
  let at = HEADER_BYTES
  for (;;) {
    const length = query[at]
    if (length === undefined || length > 63) return FORMERR
    at++
    if (length === 0) break
    if (at + length > query.length || at - HEADER_BYTES > 255) return FORMERR
    labels.push(query.toString('latin1', at, at + length))
    at += length
  }
  if (at + 4 > query.length) return FORMERR
  const end = at + 4
  return {
    name: labels.join('.').toLowerCase(),
    type: query.readUInt16BE(at),
    isInternet: query.readUInt16BE(at + 2) === CLASS_IN,
    end,
    udpBytes: readEdns(query, end),
  }
}

/** Clients put OPT right after the question; what is not there is no EDNS. */
function readEdns(query: Buffer, at: number): number | undefined {
  if (query.readUInt16BE(10) === 0 || query.readUInt32BE(6) >>> 16 !== 0) return undefined
  if (at + 11 > query.length || query[at] !== 0 || query.readUInt16BE(at + 1) !== TYPE_OPT) return undefined
  return Math.max(PLAIN_UDP_BYTES, query.readUInt16BE(at + 3))
}

export function isResponse(message: Buffer): boolean {
  return ((message[2] as number) & 0x80) !== 0
}

export function responseCode(message: Buffer): number {
  return (message[3] as number) & 0x0f
}

/** Whether `answer` answers `query`: same number, same question, letter by letter. */
export function answersQuery(answer: Buffer, query: Buffer, question: Question): boolean {
  if (answer.length < question.end || !isResponse(answer)) return false
  if (answer.readUInt16BE(0) !== query.readUInt16BE(0)) return false
  // Some servers leave the question out of an error.
  if (answer.readUInt16BE(4) === 0) return responseCode(answer) !== NOERROR
  return answer.compare(query, HEADER_BYTES, question.end, HEADER_BYTES, question.end) === 0
}

/** The data of one answer record: 4 or 16 bytes of an address, or an encoded name. */
export type RecordData = Uint8Array

/**
 * An answer to `query`, whose question it repeats as it was spelled.
 * @param limitBytes what does not fit is left out, and the answer marked as truncated
 */
export function encodeAnswer(
  query: Buffer,
  question: Question,
  records: readonly RecordData[],
  options: { readonly ttlSeconds: number; readonly limitBytes: number },
): Buffer {
  const edns = question.udpBytes === undefined ? 0 : 11
  let size = question.end + edns
  let count = 0
  while (count < records.length && size + 12 + (records[count] as RecordData).length <= options.limitBytes) {
    size += 12 + (records[count] as RecordData).length
    count++
  }
  const answer = Buffer.alloc(size)
  query.copy(answer, 0, 0, question.end)
  writeHeader(answer, query, NOERROR)
  if (count < records.length) answer[2] = (answer[2] as number) | 0x02
  answer.writeUInt16BE(1, 4)
  answer.writeUInt16BE(count, 6)
  let at = question.end
  for (const data of records.slice(0, count)) {
    answer.writeUInt16BE(0xc000 | HEADER_BYTES, at)
    answer.writeUInt16BE(question.type, at + 2)
    answer.writeUInt16BE(CLASS_IN, at + 4)
    answer.writeUInt32BE(options.ttlSeconds, at + 6)
    answer.writeUInt16BE(data.length, at + 10)
    answer.set(data, at + 12)
    at += 12 + data.length
  }
  if (edns > 0) {
    answer.writeUInt16BE(1, 10)
    answer.writeUInt16BE(TYPE_OPT, at + 1)
    answer.writeUInt16BE(OUR_UDP_BYTES, at + 3)
  }
  return answer
}

/** An answer without records. `query` may be too damaged to repeat its question; undefined if it has no number even. */
export function encodeError(query: Buffer, code: number): Buffer | undefined {
  if (query.length < HEADER_BYTES) return undefined
  const question = readQuestion(query)
  const answer = Buffer.alloc(typeof question === 'number' ? HEADER_BYTES : question.end)
  query.copy(answer, 0, 0, answer.length)
  writeHeader(answer, query, code)
  answer.writeUInt16BE(typeof question === 'number' ? 0 : 1, 4)
  return answer
}

export function udpLimit(question: Question): number {
  return question.udpBytes ?? PLAIN_UDP_BYTES
}

/** Response, recursion available; the rest of the flags as asked. Counts are all zero. */
function writeHeader(answer: Buffer, query: Buffer, code: number): void {
  answer[2] = ((query[2] as number) & 0x79) | 0x80
  answer[3] = 0x80 | code
  answer.fill(0, 4, HEADER_BYTES)
}

/** Wire form of a name; undefined for one that has none. */
export function encodeName(name: string): Uint8Array | undefined {
  const parts: Buffer[] = []
  for (const label of name.split('.')) {
    const bytes = Buffer.from(label)
    if (bytes.length === 0 || bytes.length > 63) return undefined
    parts.push(Buffer.of(bytes.length), bytes)
  }
  const encoded = Buffer.concat([...parts, Buffer.of(0)])
  return encoded.length > 255 ? undefined : encoded
}

export function encodeIpv4(address: string): Uint8Array {
  return Uint8Array.from(address.split('.'), Number)
}

export function encodeIpv6(address: string): Uint8Array {
  const [left = '', right] = address.split('::')
  const groups = (text: string | undefined): string[] => (text ? text.split(':') : [])
  const head = groups(left)
  const tail = groups(right)
  const middle = right === undefined ? [] : Array<string>(Math.max(0, 8 - head.length - tail.length)).fill('0')
  const bytes = new Uint8Array(16)
  for (const [index, group] of [...head, ...middle, ...tail].entries()) {
    const value = Number.parseInt(group, 16)
    bytes[index * 2] = value >> 8
    bytes[index * 2 + 1] = value & 0xff
  }
  return bytes
}

/** The address a PTR question is about, in the form our records have; undefined when it is about none. */
export function reverseAddress(name: string): string | undefined {
  const v4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/.exec(name)
  if (v4) return `${v4[4]}.${v4[3]}.${v4[2]}.${v4[1]}`
  if (!/^(?:[0-9a-f]\.){32}ip6\.arpa$/.test(name)) return undefined
  const digits = name.slice(0, 63).replaceAll('.', '').split('').reverse().join('')
  return ipv6Key(digits)
}

/** One spelling per address: 32 hex digits. */
export function ipv6Key(addressOrDigits: string): string {
  if (!addressOrDigits.includes(':')) return addressOrDigits
  return Buffer.from(encodeIpv6(addressOrDigits)).toString('hex')
}

import packet from 'dns-packet'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createNameAnswers, type NameAnswers } from '../../../src/agent/dns-answers.ts'
import { encodeError, encodeIpv6, SERVFAIL } from '../../../src/agent/dns-message.ts'
import { buildNameIndex } from '../../../src/agent/name-index.ts'
import { parseResolvConf } from '../../../src/agent/resolv-conf.ts'
import type { Container, ContainerEndpoint } from '../../../src/engine/containers/types.ts'

interface On {
  readonly network: string
  readonly names: readonly string[]
  readonly ipv4?: string
  readonly ipv6?: string
  readonly links?: readonly string[]
}

function container(name: string, ...on: readonly On[]): Container {
  const endpoints = on.map(
    ({ network, names, ipv4 = '', ipv6 = '', links = [] }) =>
      ({
        networkId: `id-of-${network}`,
        networkName: network,
        ipv4,
        ipv6,
        dnsNames: [name, ...names],
        spec: { network, links },
      }) as unknown as ContainerEndpoint,
  )
  return { name, endpoints } as unknown as Container
}

const web = container('app-web-1', { network: 'front', names: ['web'], ipv4: '10.0.0.2', links: ['app-db-1:store'] })
const db1 = container(
  'app-db-1',
  { network: 'front', names: ['db', 'Database', '0123456789ab'], ipv4: '10.0.0.3' },
  { network: 'back', names: ['db'], ipv4: '10.0.1.3', ipv6: 'fd00::3' },
)
const db2 = container('app-db-2', { network: 'front', names: ['db'], ipv4: '10.0.0.4' })
const hidden = container('hidden', { network: 'back', names: ['secret'], ipv4: '10.0.1.9' })
const everyone = [web, db1, db2, hidden]

/** The types of dns-packet leave it out. */
function rcodeOf(message: Buffer): string {
  return (packet.decode(message) as packet.DecodedPacket & { readonly rcode: string }).rcode
}

function answersFor(asker: Container, ndots = false): NameAnswers {
  return createNameAnswers(buildNameIndex(everyone).viewOf(asker), ndots)
}

function ask(answers: NameAnswers, name: string, type: string, options: Partial<packet.Packet> = {}, tcp = false) {
  const query = packet.encode({
    type: 'query',
    id: 4711,
    flags: packet.RECURSION_DESIRED,
    questions: [{ type: type as 'A', class: 'IN', name }],
    ...options,
  })
  const verdict = answers.answer(query, tcp)
  if (verdict.kind !== 'answer') return verdict.kind
  const answer = packet.decode(verdict.message)
  expect(answer.id).toBe(4711)
  expect(answer.type).toBe('response')
  expect(answer.flag_rd).toBe(true)
  expect(answer.flag_ra).toBe(true)
  expect(answer.questions).toHaveLength(1)
  return answer
}

function addresses(answers: NameAnswers, name: string, type = 'A'): string[] | string {
  const answer = ask(answers, name, type)
  if (typeof answer === 'string') return answer
  expect(answer).toMatchObject({ rcode: 'NOERROR' })
  return (answer.answers ?? []).map((record) => String((record as { data: unknown }).data))
}

describe('names', () => {
  test('service, container, alias, short id and the name with its network are answered, in any case', () => {
    const from = answersFor(web)
    for (const name of ['app-db-1', 'database', 'DataBase', '0123456789ab', 'app-db-1.front']) {
      expect(addresses(from, name)).toEqual(['10.0.0.3'])
    }
  })

  test('records live as long as those of Docker and keep the spelling of the question', () => {
    const answer = ask(answersFor(web), 'WEB', 'A')
    expect(answer).toMatchObject({ answers: [{ name: 'WEB', ttl: 600, class: 'IN', data: '10.0.0.2' }] })
  })

  test('only names of the networks the asker is on are known', () => {
    expect(addresses(answersFor(web), 'secret')).toBe('forward')
    expect(addresses(answersFor(hidden), 'web')).toBe('forward')
    expect(addresses(answersFor(hidden), 'db')).toEqual(['10.0.1.3'])
  })

  test('a link is a name for its owner alone', () => {
    expect(addresses(answersFor(web), 'store')).toEqual(['10.0.0.3'])
    expect(addresses(answersFor(db1), 'store')).toBe('forward')
  })

  test('replicas take turns at the first place', () => {
    const from = answersFor(web)
    const first = new Set<string>()
    for (let n = 0; n < 200; n++) {
      const found = addresses(from, 'db') as string[]
      expect(found.toSorted()).toEqual(['10.0.0.3', '10.0.0.4'])
      first.add(found[0] as string)
    }
    expect(first.size).toBe(2)
  })

  test('a kind of record that a known name has none of is an empty answer, never a question to others', () => {
    const from = answersFor(web)
    for (const type of ['AAAA', 'MX', 'TXT', 'SRV']) expect(addresses(from, 'web', type)).toEqual([])
    expect(addresses(answersFor(hidden), 'db', 'AAAA')).toEqual(['fd00::3'])
  })

  test('addresses lead back to the container, on the networks of the asker only', () => {
    expect(addresses(answersFor(web), '3.0.0.10.in-addr.arpa', 'PTR')).toEqual(['app-db-1.front'])
    expect(addresses(answersFor(web), '9.1.0.10.in-addr.arpa', 'PTR')).toBe('forward')
    const reverse = `${Buffer.from(encodeIpv6('fd00::3')).toString('hex').split('').reverse().join('.')}.ip6.arpa`
    expect(addresses(answersFor(hidden), reverse, 'PTR')).toEqual(['app-db-1.back'])
  })

  test('unknown names go on; with ndots set, those without a dot do not', () => {
    expect(addresses(answersFor(web), 'nowhere')).toBe('forward')
    expect(addresses(answersFor(web, true), 'nowhere')).toEqual([])
    expect(addresses(answersFor(web, true), 'example.com')).toBe('forward')
  })

  test('new names replace the answers that were kept', () => {
    const from = answersFor(web)
    expect(addresses(from, 'db')).toHaveLength(2)
    from.replace(buildNameIndex([web]).viewOf(web))
    expect(addresses(from, 'db')).toBe('forward')
  })
})

describe('messages', () => {
  const many = Array.from({ length: 60 }, (_, n) =>
    container(`m-${n}`, { network: 'front', names: ['many'], ipv4: `10.0.2.${n}` }),
  )
  const from = createNameAnswers(buildNameIndex([web, ...many]).viewOf(web))

  test('over UDP what does not fit is cut and marked, over TCP all is given', () => {
    const cut = ask(from, 'many', 'A')
    expect(cut).toMatchObject({ flag_tc: true })
    expect((cut as packet.DecodedPacket).answers?.length).toBe(Math.floor((512 - 22) / 16))
    const whole = ask(from, 'many', 'A', {}, true)
    expect(whole).toMatchObject({ flag_tc: false })
    expect((whole as packet.DecodedPacket).answers).toHaveLength(60)
  })

  test('EDNS makes room and is answered', () => {
    const opt = { type: 'OPT', name: '.', udpPayloadSize: 4096, flags: 0, options: [] } as unknown as packet.OptAnswer
    const answer = ask(from, 'many', 'A', { additionals: [opt] })
    expect(answer).toMatchObject({ flag_tc: false, additionals: [{ type: 'OPT' }] })
    expect((answer as packet.DecodedPacket).answers).toHaveLength(60)
  })

  test('what is no question is refused, what is no message is dropped', () => {
    const query = packet.encode({ type: 'query', id: 1, questions: [{ type: 'A', name: 'web' }] })
    const code = (message: Buffer): string => {
      const verdict = from.answer(message, false)
      return verdict.kind === 'answer' ? rcodeOf(verdict.message) : verdict.kind
    }
    expect(code(Buffer.alloc(5))).toBe('drop')
    expect(code(query.subarray(0, 14))).toBe('FORMERR')
    const status = Buffer.from(query)
    status[2] = 0x10
    expect(code(status)).toBe('NOTIMP')
    expect(packet.decode(encodeError(query, SERVFAIL) as Buffer)).toMatchObject({ rcode: 'SERVFAIL', id: 1 })
  })

  test('no bytes whatever make it throw or answer with less than a header', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), (bytes, tcp) => {
        const verdict = from.answer(Buffer.from(bytes), tcp)
        if (verdict.kind === 'answer') expect(verdict.message.length).toBeGreaterThanOrEqual(12)
      }),
    )
  })
})

test('resolv.conf is read as resolv.conf(5) says', () => {
  const text =
    '# by hand\nnameserver 10.1.1.1 # first\nsearch a b\n;nameserver 9.9.9.9\nnameserver fe80::1%eth0\noptions edns0 ndots:2\n'
  expect(parseResolvConf(text)).toEqual({ servers: ['10.1.1.1', 'fe80::1%eth0'], ndots: 2 })
  expect(parseResolvConf('')).toEqual({ servers: [], ndots: undefined })
})

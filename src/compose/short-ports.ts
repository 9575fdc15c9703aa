import { isIP } from 'node:net'
import { TcomposeError } from '../base/errors.ts'
import type { TreeMap } from './tree.ts'

/**
 * `[[IP:]HOST:]CONTAINER[/PROTOCOL]`, ranges included, in long form: equal ranges pair off; a range of host ports for one
 * container port stays a range.
 * @throws TcomposeError INVALID
 */
export function parsePorts(spec: string): readonly TreeMap[] {
  const fail = (message: string): TcomposeError =>
    new TcomposeError('INVALID', message, {
      hint: 'write ports as HOST:CONTAINER, like "8080:80" or "127.0.0.1:8000-8010:8000-8010/udp"',
    })
  const parts = spec.split(':')
  const [target = '', protocol = 'tcp'] = (parts.pop() ?? '').split(/\/(.*)/s)
  const published = parts.pop() ?? ''
  const host = parts.join(':').replace(/^\[(.*)\]$/, '$1')
  if (host !== '' && isIP(host) === 0) throw fail(`invalid IP address: ${host}`)
  if (target === '') throw fail(`no port specified: ${spec}<empty>`)
  const container = parseRange(target)
  if (!container) throw fail(`invalid containerPort: ${target}`)
  const outside = published === '' ? undefined : parseRange(published)
  if (published !== '' && !outside) throw fail(`invalid hostPort: ${published}`)
  const count = container.last - container.first
  if (outside && outside.last - outside.first !== count && count > 0) {
    throw fail(`invalid ranges specified for container and host Ports: ${target} and ${published}`)
  }
  if (!/^(tcp|udp|sctp)$/i.test(protocol)) throw fail(`invalid proto: ${protocol}`)
  return Array.from({ length: count + 1 }, (_, index) => ({
    mode: 'ingress',
    ...(host === '' ? {} : { host_ip: host }),
    target: container.first + index,
    ...(outside ? { published: publishedAt(outside, count, index) } : {}),
    protocol: protocol.toLowerCase(),
  }))
}

interface Range {
  readonly first: number
  readonly last: number
}

function publishedAt(range: Range, count: number, index: number): string {
  if (count > 0 || range.first === range.last) return String(range.first + index)
  return `${range.first}-${range.last}`
}

function parseRange(text: string): Range | undefined {
  const match = /^(\d+)(?:-(\d+))?$/.exec(text)
  if (!match) return undefined
  const first = Number(match[1])
  const last = match[2] === undefined ? first : Number(match[2])
  return first > 65535 || last > 65535 || last < first ? undefined : { first, last }
}

import { homedir } from 'node:os'
import { isAbsolute, resolve } from 'node:path'
import { TcomposeError } from '../base/errors.ts'
import type { MountSpec, PortSpec } from '../engine/containers/spec.ts'

/** `-v [SOURCE:]TARGET[:OPTIONS]` of `run`; relative and `~` sources are paths, other ones name volumes. @throws INVALID */
export function parseMount(text: string, cwd: string): MountSpec {
  const parts = text.split(':')
  if (parts.length === 1) return { kind: 'volume', target: absolute(text, text) }
  const [source = '', target = '', options = ''] = parts
  if (parts.length > 3 || source === '' || target === '') {
    throw new TcomposeError('INVALID', `invalid volume specification: ${JSON.stringify(text)}`, {
      hint: 'write it as [SOURCE:]TARGET[:ro]',
    })
  }
  const flags = options.split(',')
  const common = { target: absolute(target, text), readOnly: flags.includes('ro') }
  if (source.startsWith('/') || source.startsWith('.') || source.startsWith('~')) {
    const path = source.startsWith('~') ? source.replace(/^~/, homedir()) : source
    return { kind: 'bind', source: isAbsolute(path) ? path : resolve(cwd, path), ...common, createHostPath: true }
  }
  return { kind: 'volume', source, ...common, nocopy: flags.includes('nocopy') }
}

function absolute(target: string, text: string): string {
  if (target.startsWith('/')) return target
  throw new TcomposeError(
    'INVALID',
    `invalid volume specification: ${JSON.stringify(text)}: mount path must be absolute`,
  )
}

/** `-p [[IP:]HOST:]CONTAINER[/PROTOCOL]`, ranges too. @throws TcomposeError INVALID */
export function parsePorts(text: string): readonly PortSpec[] {
  const bad = (): TcomposeError =>
    new TcomposeError('INVALID', `invalid port specification: ${JSON.stringify(text)}`, {
      hint: 'write it as [[IP:]HOST:]CONTAINER[/PROTOCOL]',
    })
  const match = /^(?:(?:(\[[^\]]+\]|[\d.]+):)?(\d*(?:-\d+)?):)?(\d+)(?:-(\d+))?(?:\/(tcp|udp|sctp))?$/.exec(text)
  if (!match) throw bad()
  const [, ip = '', host = '', from = '', to = from, protocol = 'tcp'] = match
  const first = Number(from)
  const last = Number(to)
  const [hostFirst = '', hostLast = hostFirst] = host.split('-')
  const count = last - first + 1
  if (count < 1 || first > 65535 || last > 65535) throw bad()
  const common = { protocol: protocol as PortSpec['protocol'], hostIp: ip.replace(/^\[|\]$/g, '') }
  if (hostFirst === '') {
    return Array.from({ length: count }, (_, index) => ({ containerPort: first + index, hostPort: 0, ...common }))
  }
  const hostCount = Number(hostLast) - Number(hostFirst) + 1
  if (count === 1 && hostCount > 1) {
    return [{ containerPort: first, hostPort: Number(hostFirst), hostPortEnd: Number(hostLast), ...common }]
  }
  if (hostCount !== count) throw bad()
  return Array.from({ length: count }, (_, index) => ({
    containerPort: first + index,
    hostPort: Number(hostFirst) + index,
    ...common,
  }))
}

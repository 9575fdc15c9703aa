import { TcomposeError } from '../base/errors.ts'
import { hostEntries } from './merge.ts'
import { scalarText, type Tree } from './tree.ts'

/**
 * `extra_hosts` as `host=address`, one address each, sorted by host.
 * @throws TcomposeError INVALID
 */
export function canonicalHosts(value: Tree): readonly string[] {
  const hosts = new Map<string, string[]>()
  for (const entry of hostEntries(value)) {
    const text = scalarText(entry)
    const match = /^([^=]*)=(.*)$/s.exec(text) ?? /^([^:]*):(.*)$/s.exec(text)
    const host = match?.[1]?.trim() ?? ''
    const addresses = match?.[2] ?? ''
    const hint = 'write it as "somehost=162.242.195.82"'
    if (!match || addresses === '')
      throw new TcomposeError('INVALID', `invalid additional host, missing IP: ${text}`, { hint })
    if (host === '') throw new TcomposeError('INVALID', `bad host name: ${JSON.stringify(text)}`, { hint })
    const known = hosts.get(host) ?? []
    hosts.set(host, known)
    for (const address of addresses.split(',')) {
      const bare = address.replace(/^\[(.*)\]$/, '$1')
      if (!known.includes(bare)) known.push(bare)
    }
  }
  return [...hosts.keys()].sort().flatMap((host) => (hosts.get(host) ?? []).map((address) => `${host}=${address}`))
}

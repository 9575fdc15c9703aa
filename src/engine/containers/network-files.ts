import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { containerDir } from '../state/paths.ts'
import { type ContainerContext, directoryOf } from './deps.ts'
import { hostsFile, hostsFileOfHost, resolvConfFile, splitExtraHost } from './host-files.ts'
import type { StoredContainer } from './store.ts'

const DEFAULT_NETWORK = 'bridge'

interface FilesInput {
  readonly directory: string
  readonly hostname: string
  /** Container whose network is shared: its files are shown. */
  readonly sharedWith: string | undefined
}

/** Writes /etc/hosts, hostname and resolv.conf of a container and says where they are. */
export async function writeNetworkFiles(
  context: ContainerContext,
  stored: StoredContainer,
  input: FilesInput,
): Promise<{ readonly resolvConf: string; readonly hostname: string; readonly hosts: string }> {
  const base = input.sharedWith === undefined ? input.directory : containerDir(context.paths, input.sharedWith)
  const files = {
    resolvConf: `${base}/resolv.conf`,
    hostname: `${base}/hostname`,
    hosts: `${base}/hosts`,
  }
  if (input.sharedWith !== undefined) return files
  mkdirSync(base, { recursive: true, mode: 0o700 })
  write(files.hostname, `${input.hostname}\n`)
  write(files.hosts, await hostsText(context, stored, input.hostname))
  write(files.resolvConf, resolvConfText(stored))
  return files
}

/** Brings the hosts file of a running container up to date after a change of its networks. */
export async function refreshHosts(context: ContainerContext, stored: StoredContainer): Promise<void> {
  if (stored.record.spec.network.kind === 'container') return
  const text = await hostsText(context, stored, stored.record.config.hostname)
  write(`${directoryOf(context, stored.id)}/hosts`, text)
}

/** In place: the file is bound into the container, which would keep an old one that was replaced by rename. */
function write(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o644 })
  chmodSync(path, 0o644)
}

async function hostsText(context: ContainerContext, stored: StoredContainer, hostname: string): Promise<string> {
  const { spec, config } = stored.record
  const extraHosts = await withGateway(context, stored.id, spec.extraHosts ?? [])
  if (spec.network.kind === 'host') return hostsFileOfHost(readOptional('/etc/hosts'), extraHosts)
  return hostsFile({
    hostname,
    domainname: config.domainname,
    extraHosts,
    links: linksOf(context, stored),
    addresses: stored.endpoints.flatMap((endpoint) =>
      [endpoint.ipv4, endpoint.ipv6].filter((address) => address !== ''),
    ),
  })
}

async function withGateway(
  context: ContainerContext,
  id: string,
  entries: readonly string[],
): Promise<readonly string[]> {
  if (!entries.some((entry) => splitExtraHost(entry).address === 'host-gateway')) return entries
  const gateway = await (await context.networks()).hostGateway(id)
  return entries.map((entry) => {
    const { name, address } = splitExtraHost(entry)
    return address === 'host-gateway' ? `${name}:${gateway}` : entry
  })
}

/** Old links, on the default network alone: elsewhere the resolver knows them. */
function linksOf(
  context: ContainerContext,
  stored: StoredContainer,
): readonly { readonly address: string; readonly names: readonly string[] }[] {
  if (!stored.endpoints.some((endpoint) => endpoint.networkName === DEFAULT_NETWORK)) return []
  return (stored.record.spec.links ?? []).flatMap((link) => {
    const [name = '', alias = name] = link.split(':')
    const other = context.store.resolve(name)
    const address = other?.endpoints.find((endpoint) => endpoint.networkName === DEFAULT_NETWORK)?.ipv4
    if (!other || !address) return []
    return [{ address, names: [...new Set([alias, other.id.slice(0, 12), other.name])] }]
  })
}

function resolvConfText(stored: StoredContainer): string {
  const { spec } = stored.record
  const onDefault = stored.endpoints.every((endpoint) => endpoint.networkName === DEFAULT_NETWORK)
  const kind = spec.network.kind
  return resolvConfFile({
    hostText: readOptional('/etc/resolv.conf'),
    mode: kind === 'host' ? 'host' : kind === 'networks' && !onDefault ? 'embedded' : 'filtered',
    servers: spec.dns?.servers ?? [],
    search: spec.dns?.search ?? [],
    options: spec.dns?.options ?? [],
  })
}

function readOptional(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

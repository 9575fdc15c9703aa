import { existsSync, readFileSync } from 'node:fs'
import { errnoOf, TcomposeError } from '../../base/errors.ts'
import type { Endpoint } from './types.ts'

interface RegistriesFile {
  readonly 'insecure-registries'?: readonly string[]
  readonly 'registry-mirrors'?: readonly string[]
}

export interface RegistrySettings {
  /** Hosts, `host:port` or IPv4 networks that may be reached without a checked certificate or by http. */
  readonly insecure: readonly string[]
  /** URLs that are asked before Docker Hub. */
  readonly mirrors: readonly string[]
  readonly certificateRoots: readonly string[]
}

/**
 * From /etc/tcompose/registries.json (another with TCOMPOSE_REGISTRIES_CONFIG; keys as in Docker's daemon.json) and from
 * TCOMPOSE_INSECURE_REGISTRIES and TCOMPOSE_REGISTRY_MIRRORS (lists with commas). TCOMPOSE_CERTS_D adds a directory like
 * /etc/docker/certs.d.
 */
export function registrySettings(env: NodeJS.ProcessEnv): RegistrySettings {
  const path = env.TCOMPOSE_REGISTRIES_CONFIG || '/etc/tcompose/registries.json'
  let file: RegistriesFile = {}
  try {
    file = JSON.parse(readFileSync(path, 'utf8')) as RegistriesFile
  } catch (cause) {
    if (errnoOf(cause) !== 'ENOENT') throw new TcomposeError('INVALID', `${path} cannot be read`, { cause })
  }
  const list = (text: string | undefined) =>
    (text ?? '')
      .split(',')
      .map((item) => item.trim())
      .filter(Boolean)
  return {
    insecure: [...(file['insecure-registries'] ?? []), ...list(env.TCOMPOSE_INSECURE_REGISTRIES)],
    mirrors: [...(file['registry-mirrors'] ?? []), ...list(env.TCOMPOSE_REGISTRY_MIRRORS)],
    certificateRoots: [
      ...list(env.TCOMPOSE_CERTS_D),
      '/etc/tcompose/certs.d',
      '/etc/docker/certs.d',
      '/etc/containers/certs.d',
    ],
  }
}

/** The ways to reach a registry, in the order in which they are tried. */
export function endpointsOf(
  domain: string,
  settings: RegistrySettings,
  options: { readonly insecure?: boolean; readonly mirrors?: boolean } = {},
): readonly Endpoint[] {
  if (domain === 'docker.io') {
    const mirrors = options.mirrors === false ? [] : settings.mirrors
    return [
      ...mirrors.flatMap((url) => mirrorEndpoints(url, settings)),
      ...hostEndpoints('registry-1.docker.io', settings, false),
    ]
  }
  return hostEndpoints(domain, settings, options.insecure ?? false)
}

function mirrorEndpoints(text: string, settings: RegistrySettings): readonly Endpoint[] {
  const url = new URL(text)
  const base = hostEndpoints(url.host, settings, url.protocol === 'http:')
  const path = url.pathname.replace(/\/+$/, '')
  return base.map((endpoint) => ({ ...endpoint, url: endpoint.url + path, mirror: true }))
}

function hostEndpoints(host: string, settings: RegistrySettings, insecure: boolean): readonly Endpoint[] {
  const directories = settings.certificateRoots.map((root) => `${root}/${host}`).filter((path) => existsSync(path))
  const secure: Endpoint = { url: `https://${host}`, verify: true, certificateDirectories: directories, mirror: false }
  // Whoever gave it a certificate to check wants it checked.
  if (directories.length > 0 || !(insecure || isInsecure(host, settings))) return [secure]
  return [
    { ...secure, verify: false },
    { ...secure, url: `http://${host}`, verify: false },
  ]
}

function isInsecure(host: string, settings: RegistrySettings): boolean {
  const name = host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
  if (name === 'localhost' || name === '::1' || inNetwork(name, '127.0.0.0/8')) return true
  return settings.insecure.some((item) => item === host || item === name || inNetwork(name, item))
}

function inNetwork(address: string, network: string): boolean {
  const match = /^(\d+\.\d+\.\d+\.\d+)\/(\d+)$/.exec(network)
  const [value, base] = [ipv4(address), ipv4(match?.[1] ?? '')]
  if (!match || value === undefined || base === undefined) return false
  const shift = 32 - Math.min(Number(match[2]), 32)
  return Math.floor(value / 2 ** shift) === Math.floor(base / 2 ** shift)
}

function ipv4(text: string): number | undefined {
  const parts = text.split('.').map(Number)
  if (parts.length !== 4 || !parts.every((part) => Number.isInteger(part) && part >= 0 && part <= 255)) return undefined
  return parts.reduce((sum, part) => sum * 256 + part, 0)
}

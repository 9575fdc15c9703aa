import { type Digest, isDigest } from '../../base/digest.ts'
import { TcomposeError } from '../../base/errors.ts'

export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json'
export const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar'
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
export const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'

export interface Platform {
  readonly os: string
  readonly architecture: string
  readonly variant?: string
}

/** A pointer to content, as OCI indexes and manifests have it. */
export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  readonly size: number
  readonly platform?: Platform
  readonly annotations?: Readonly<Record<string, string>>
  readonly urls?: readonly string[]
}

export type ManifestDocument =
  | { readonly kind: 'manifest'; readonly config: Descriptor; readonly layers: readonly Descriptor[] }
  | { readonly kind: 'index'; readonly manifests: readonly Descriptor[] }

/** @throws TcomposeError INVALID; UNSUPPORTED for Docker's schema 1 and for artifacts that are no images */
export function parseManifest(bytes: Uint8Array, what: string): ManifestDocument {
  let value: Record<string, unknown>
  try {
    value = JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>
  } catch (cause) {
    throw new TcomposeError('INVALID', `${what}: the manifest is no JSON`, { cause })
  }
  if (typeof value !== 'object' || value === null)
    throw new TcomposeError('INVALID', `${what}: the manifest is no object`)
  if (value.schemaVersion === 1) {
    throw new TcomposeError('UNSUPPORTED', `${what}: Docker image manifests of schema 1 are not supported`, {
      hint: 'push the image again with a tool of today',
    })
  }
  if (Array.isArray(value.manifests)) return { kind: 'index', manifests: descriptors(value.manifests, what) }
  if (!Array.isArray(value.layers))
    throw new TcomposeError('INVALID', `${what}: neither an image manifest nor an index`)
  const [config] = descriptors([value.config], what)
  return { kind: 'manifest', config: config as Descriptor, layers: descriptors(value.layers, what) }
}

function descriptors(list: readonly unknown[], what: string): readonly Descriptor[] {
  return list.map((item) => {
    const value = item as Partial<Descriptor> | null
    if (!value || !isDigest(String(value.digest)) || !Number.isSafeInteger(value.size) || (value.size as number) < 0) {
      throw new TcomposeError('INVALID', `${what}: the manifest has a broken descriptor`)
    }
    return { ...value, mediaType: String(value.mediaType ?? '') } as Descriptor
  })
}

/** This machine's platform in OCI words. */
export function hostPlatform(): Platform {
  const names: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64', ia32: '386', arm: 'arm' }
  const architecture = names[process.arch] ?? process.arch
  return architecture === 'arm' ? { os: 'linux', architecture, variant: 'v7' } : { os: 'linux', architecture }
}

const ALIASES: Readonly<Record<string, Omit<Platform, 'os'>>> = {
  x86_64: { architecture: 'amd64' },
  'x86-64': { architecture: 'amd64' },
  aarch64: { architecture: 'arm64' },
  armhf: { architecture: 'arm', variant: 'v7' },
  armel: { architecture: 'arm', variant: 'v6' },
  i386: { architecture: '386' },
}

/** Reads `os/arch[/variant]` or one part of it. @throws TcomposeError INVALID */
export function parsePlatform(text: string): Platform {
  const parts = text.toLowerCase().split('/')
  const host = hostPlatform()
  if (parts.length > 3 || parts.some((part) => !/^[a-z0-9_.-]+$/.test(part))) {
    throw new TcomposeError('INVALID', `invalid platform ${JSON.stringify(text)}`, {
      hint: 'write it as linux/amd64 or linux/arm/v7',
    })
  }
  if (parts.length === 1 && ['linux', 'windows', 'darwin', 'freebsd'].includes(parts[0] as string)) {
    return { ...host, os: parts[0] as string }
  }
  const os = parts.length === 1 ? host.os : (parts[0] as string)
  const named = parts.length === 1 ? (parts[0] as string) : (parts[1] as string)
  const alias = ALIASES[named] ?? { architecture: named }
  const variant = parts[2] ?? alias.variant ?? (alias.architecture === 'arm' ? 'v7' : undefined)
  const plain = alias.architecture === 'arm64' && variant === 'v8' ? undefined : variant
  return { os, architecture: alias.architecture, ...(plain === undefined ? {} : { variant: plain }) }
}

export function formatPlatform(platform: Platform): string {
  return `${platform.os}/${platform.architecture}${platform.variant === undefined ? '' : `/${platform.variant}`}`
}

/** Best match for `wanted` among an index's entries; attestations (`unknown/unknown`) never match. */
export function choosePlatform(manifests: readonly Descriptor[], wanted: Platform): Descriptor | undefined {
  const ranked = manifests
    .map((manifest, index) => ({ manifest, index, rank: rankOf(manifest, wanted) }))
    .filter((each) => each.rank > 0)
    .toSorted((a, b) => b.rank - a.rank || a.index - b.index)
  return ranked[0]?.manifest
}

function rankOf(manifest: Descriptor, wanted: Platform): number {
  if (manifest.annotations?.['vnd.docker.reference.type'] !== undefined) return 0
  const platform = manifest.platform
  if (!platform?.architecture) return 1
  if (platform.os !== wanted.os) return 0
  const [has, wants] = [variantOf(platform), variantOf(wanted)]
  if (platform.architecture === wanted.architecture) {
    if (has === wants) return 100
    // A processor runs what was made for an older variant.
    return has <= wants ? 50 + has : 0
  }
  if (wanted.architecture === 'amd64' && platform.architecture === '386') return 10
  if (wanted.architecture === 'arm64' && platform.architecture === 'arm') return 10 + has
  return 0
}

function variantOf(platform: Platform): number {
  const number = Number(/^v(\d+)/.exec(platform.variant ?? '')?.[1] ?? 0)
  if (number > 0) return number
  return { arm: 7, arm64: 8, amd64: 1 }[platform.architecture] ?? 0
}

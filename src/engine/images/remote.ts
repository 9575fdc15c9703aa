import { digestOf } from '../../base/digest.ts'
import { familiarReference, parseReference, withDefaultTag } from '../../base/reference.ts'
import { type Platform, parseManifest } from '../content/manifest.ts'
import { connectRepository } from '../registry/connect.ts'
import { parseConfig } from './records.ts'
import type { Images } from './types.ts'

/** Asks a registry for a manifest and the platforms behind it. */
export async function inspectRemote(
  env: NodeJS.ProcessEnv,
  ref: string,
  options: NonNullable<Parameters<Images['remote']>[1]>,
): ReturnType<Images['remote']> {
  const reference = withDefaultTag(parseReference(ref))
  const { client, result } = await connectRepository(reference, { ...options, env, action: 'pull' }, (candidate) =>
    candidate.manifest(reference.digest ?? (reference.tag as string)),
  )
  await using _client = client
  const { bytes, mediaType } = result
  const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length }
  const document = parseManifest(bytes, familiarReference(reference))
  if (document.kind === 'index') {
    const platforms = document.manifests.flatMap(({ platform }) => (platform ? [platform] : []))
    return { descriptor, platforms: platforms.filter(({ os }) => os !== 'unknown') }
  }
  const { os, architecture, variant } = parseConfig(await client.smallBlob(document.config))
  const platform: Platform = { os, architecture, ...(variant === undefined ? {} : { variant }) }
  return { descriptor, platforms: [platform] }
}

import type { Readable } from 'node:stream'
import type { Digest } from '../../base/digest.ts'
import type { Reference } from '../../base/reference.ts'
import type { Descriptor } from '../content/manifest.ts'

export interface Credentials {
  readonly username: string
  readonly password: string
  /** An OAuth2 refresh token instead of a password. */
  readonly identityToken?: string | undefined
}

/** One way to reach a registry. */
export interface Endpoint {
  /** `https://registry-1.docker.io`, without a slash at the end. */
  readonly url: string
  /** Whether its certificate is checked. */
  readonly verify: boolean
  /** Directories that may hold its own CA and client certificates. */
  readonly certificateDirectories: readonly string[]
  /** A mirror has only what is pulled from Docker Hub, and gets no credentials of it. */
  readonly mirror: boolean
}

export interface FetchedManifest {
  readonly bytes: Uint8Array
  readonly mediaType: string
  readonly digest: Digest
}

/**
 * One repository of one registry. Transient failures (429, 5xx, cut connections) are retried with back-off.
 * @throws TcomposeError NOT_FOUND, DENIED, UNAVAILABLE with texts for people; CORRUPT for content with a wrong digest
 */
export interface RepositoryClient extends AsyncDisposable {
  readonly reference: Reference
  /** By tag or digest; content fetched by digest has been compared with it. */
  manifest(target: string): Promise<FetchedManifest>
  /** Content of a small blob, compared with its digest and size. */
  smallBlob(descriptor: Descriptor): Promise<Uint8Array>
  /**
   * A blob's bytes from `offset` on, resumed where the connection was cut. Fails unless exactly the descriptor's size
   * comes; the digest is the caller's to check, who may have the first part already.
   */
  blob(descriptor: Descriptor, offset: number): Readable
  hasBlob(digest: Digest): Promise<boolean>
  /** Asks the registry to take a blob over from another of its repositories; false when it does not. */
  mountBlob(digest: Digest, from: string): Promise<boolean>
  /** `open` gives the content anew for each attempt. */
  uploadBlob(open: () => Readable, onProgress: (bytes: number) => void): Promise<{ digest: Digest; sizeBytes: number }>
  putManifest(target: string, mediaType: string, bytes: Uint8Array): Promise<void>
}

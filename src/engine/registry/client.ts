import { Readable } from 'node:stream'
import { sleep } from '../../base/concurrency.ts'
import { createDigester, type Digest, digestOf, isDigest } from '../../base/digest.ts'
import { TcomposeError, throwIfAborted } from '../../base/errors.ts'
import { familiarName, type Reference } from '../../base/reference.ts'
import { DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST } from '../content/manifest.ts'
import { createAuthorizer } from './authorizer.ts'
import { registryError } from './errors.ts'
import {
  createTransport,
  explain,
  isUnreachable,
  mayPass,
  type RegistryRequest,
  type RegistryResponse,
} from './transport.ts'
import type { Credentials, Endpoint, FetchedManifest, RepositoryClient } from './types.ts'

const MAX_SMALL = 16 << 20
const BLOB_ATTEMPTS = 8

export interface ClientOptions {
  readonly env: NodeJS.ProcessEnv
  readonly endpoint: Endpoint
  readonly action: 'pull' | 'push'
  readonly credentials: () => Promise<Credentials | undefined>
  readonly signal?: AbortSignal | undefined
}

/** A client of `reference`'s repository at one endpoint. Nothing is sent yet. */
export function createRepositoryClient(reference: Reference, options: ClientOptions): RepositoryClient {
  const { endpoint, signal } = options
  const host = new URL(endpoint.url).host
  const transport = createTransport(endpoint, options.env)
  const credentials = endpoint.mirror ? async () => undefined : options.credentials
  const authorizer = createAuthorizer(transport, endpoint.url, credentials, signal)
  const base = `${endpoint.url}/v2/${reference.path}`
  const ownScope = `repository:${reference.path}:${options.action === 'push' ? 'pull,push' : 'pull'}`
  const name = familiarName(reference)

  const ask = async (
    wanted: Omit<RegistryRequest, 'signal'>,
    okStatuses: readonly number[],
    extra: { readonly scopes?: readonly string[]; readonly open?: () => Readable; readonly what?: string } = {},
  ): Promise<RegistryResponse> => {
    const scopes = [ownScope, ...(extra.scopes ?? [])]
    for (;;) {
      throwIfAborted(signal)
      let response: RegistryResponse
      let authorization: string | undefined
      try {
        authorization = await authorizer.header(scopes)
        const headers = { ...wanted.headers, ...(authorization === undefined ? {} : { authorization }) }
        const whole = { ...wanted, headers, signal, body: extra.open?.() ?? wanted.body }
        response = extra.open ? await transport.send(whole) : await transport.sendPatiently(whole)
      } catch (error) {
        if (error instanceof TcomposeError && error.code === 'DENIED') throw denied(error.message)
        throw isUnreachable(error) || mayPass(error, signal) ? error : explain(error, host)
      }
      if (okStatuses.includes(response.status)) return response
      if (response.status === 401) {
        const again = await authorizer.challenged(response.headers['www-authenticate'], scopes, authorization)
        if (again) {
          await response.discard()
          continue
        }
      }
      throw await registryError(response, { reference, action: options.action, what: extra.what ?? name })
    }
  }

  const denied = (why: string) =>
    new TcomposeError('DENIED', `${options.action} access denied for ${name}: ${why}`, {
      hint: `log in with \`tcompose login ${reference.domain === 'docker.io' ? '' : reference.domain}\``.replace(
        ' `',
        '`',
      ),
    })

  const blobFrom = async (digest: Digest, offset: number): Promise<RegistryResponse> => {
    const headers = offset > 0 ? { range: `bytes=${offset}-` } : {}
    return await ask({ method: 'GET', url: `${base}/blobs/${digest}`, headers }, [200, 206], { what: `blob ${digest}` })
  }

  async function* blobChunks(digest: Digest, size: number, offset: number): AsyncGenerator<Buffer> {
    let at = offset
    let failures = 0
    while (at < size) {
      const begin = at
      try {
        const response = await blobFrom(digest, at)
        // A server that knows no ranges begins anew.
        let skip = response.status === 206 ? 0 : at
        for await (const raw of response.body) {
          let chunk = raw as Buffer
          if (skip > 0) {
            const cut = Math.min(skip, chunk.length)
            skip -= cut
            chunk = chunk.subarray(cut)
          }
          if (chunk.length === 0) continue
          at += chunk.length
          if (at > size) throw new TcomposeError('CORRUPT', `blob ${digest} is longer than its ${size} bytes`)
          yield chunk
        }
      } catch (error) {
        if (!mayPass(error, signal)) throw explain(error, host)
        if (++failures >= BLOB_ATTEMPTS && at === begin) throw explain(error, host)
      }
      if (at >= size) break
      if (at > begin) failures = 0
      else if (failures === 0) failures++
      if (failures >= BLOB_ATTEMPTS) {
        throw new TcomposeError('CORRUPT', `blob ${digest} ends after ${at} of its ${size} bytes`)
      }
      await sleep(Math.min(100 * 2 ** failures, 10_000), signal)
    }
  }

  const putUpload = async (location: string, digest: Digest, from: string): Promise<void> => {
    const url = new URL(location, from)
    url.searchParams.set('digest', digest)
    const response = await ask({ method: 'PUT', url: url.href, headers: { 'content-length': '0' } }, [201, 204])
    await response.discard()
  }

  const uploadOnce = async (open: () => Readable, onProgress: (bytes: number) => void) => {
    const begun = await ask(
      { method: 'POST', url: `${base}/blobs/uploads/`, headers: { 'content-length': '0' } },
      [202],
    )
    await begun.discard()
    const digester = createDigester()
    let sizeBytes = 0
    const counted = () => {
      async function* chunks() {
        for await (const chunk of open()) {
          digester.update(chunk as Buffer)
          sizeBytes += (chunk as Buffer).length
          onProgress(sizeBytes)
          yield chunk as Buffer
        }
      }
      return Readable.from(chunks(), { objectMode: false })
    }
    const url = new URL(begun.headers.location ?? '', begun.url).href
    const headers = { 'content-type': 'application/octet-stream' }
    const sent = await ask({ method: 'PATCH', url, headers }, [202, 204], { open: counted })
    await sent.discard()
    const digest = digester.digest()
    await putUpload(sent.headers.location ?? url, digest, url)
    return { digest, sizeBytes }
  }

  return {
    reference,

    async manifest(target): Promise<FetchedManifest> {
      const accept = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST].join(', ')
      const response = await ask({ method: 'GET', url: `${base}/manifests/${target}`, headers: { accept } }, [200], {
        what: 'manifest',
      })
      const bytes = await response.bytes()
      const digest = digestOf(bytes)
      if (isDigest(target) && digest !== target) {
        throw new TcomposeError('CORRUPT', `the manifest that ${host} gave for ${target} has the digest ${digest}`)
      }
      return { bytes, mediaType: (response.headers['content-type'] ?? '').replace(/;.*$/, ''), digest }
    },

    async smallBlob(descriptor) {
      if (descriptor.size > MAX_SMALL) {
        throw new TcomposeError('INVALID', `${descriptor.digest} is too large for an image config`)
      }
      const chunks: Buffer[] = []
      for await (const chunk of blobChunks(descriptor.digest, descriptor.size, 0)) chunks.push(chunk)
      const bytes = Buffer.concat(chunks)
      if (digestOf(bytes) !== descriptor.digest) {
        throw new TcomposeError('CORRUPT', `blob ${descriptor.digest} does not match its digest`)
      }
      return bytes
    },

    blob: (descriptor, offset) =>
      Readable.from(blobChunks(descriptor.digest, descriptor.size, offset), { objectMode: false }),

    async hasBlob(digest) {
      const response = await ask({ method: 'HEAD', url: `${base}/blobs/${digest}` }, [200, 404])
      await response.discard()
      return response.status === 200
    },

    async mountBlob(digest, from) {
      const url = `${base}/blobs/uploads/?${new URLSearchParams({ mount: digest, from })}`
      const response = await ask({ method: 'POST', url, headers: { 'content-length': '0' } }, [201, 202], {
        scopes: [`repository:${from}:pull`],
      })
      await response.discard()
      return response.status === 201
    },

    async uploadBlob(open, onProgress) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await uploadOnce(open, onProgress)
        } catch (error) {
          if (attempt >= 5 || !mayPass(error, signal)) throw explain(error, host)
          await sleep(300 * 2 ** attempt, signal)
        }
      }
    },

    async putManifest(target, mediaType, bytes) {
      const url = `${base}/manifests/${target}`
      const response = await ask(
        { method: 'PUT', url, headers: { 'content-type': mediaType }, body: bytes },
        [200, 201, 202],
      )
      await response.discard()
    },

    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  }
}

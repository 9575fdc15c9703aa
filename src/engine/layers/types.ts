import type { Readable } from 'node:stream'
import type { Digest } from '../../base/digest.ts'
import type { FileSlice } from '../../runtime/fs-worker.ts'

/** An unpacked layer: a directory that serves as overlay lower. */
export interface Layer {
  /** diffID of a layer that stands alone; chainID of one that needs the layers below it. */
  readonly key: Digest
  readonly diffId: Digest
  /** Absolute. */
  readonly directory: string
  /** Of its regular files. */
  readonly sizeBytes: number
  /** Length of its uncompressed archive. */
  readonly tarBytes: number
}

/** A layer that is unpacked and checked, and not visible yet. Disposing it removes it unless it was adopted. */
export interface UnpackedLayer extends AsyncDisposable {
  readonly diffId: Digest
  /** Digest of the stream it was unpacked from: of the compressed one, if it was. */
  readonly inputDigest: Digest
  readonly sizeBytes: number
  readonly tarBytes: number
  readonly standalone: boolean
}

/**
 * The layer directories of the store. Adding is one rename and one row; what has a row is whole. A layer stays as long
 * as an image, a build cache entry, or a lease of a living process has it.
 */
export interface Layers {
  /** Layers that were found, adopted or committed stay at least until the last operation of this process ends. */
  operation(): Disposable
  /** The layer for `diffId` on top of the chain with this chainID, if it is here. */
  find(diffId: Digest, chainId: Digest): Layer | undefined
  /** @throws TcomposeError NOT_FOUND */
  get(key: Digest): Layer
  /** Layers by key in the given order. @throws TcomposeError NOT_FOUND */
  getAll(keys: readonly Digest[]): readonly Layer[]
  /** Unpacks a tar stream, plain or in gzip, aside. */
  unpack(tar: Readable | FileSlice, signal?: AbortSignal): Promise<UnpackedLayer>
  /**
   * Makes an unpacked layer visible. `parents` (bottom first) are needed when it does not stand alone. When the same
   * layer has come in meanwhile, that one is given.
   */
  adopt(unpacked: UnpackedLayer, parents: readonly Layer[], signal?: AbortSignal): Promise<Layer>
  /**
   * Makes an overlay upper directory (on the file system of the state root) a layer by renaming it. Afterwards the
   * directory is gone, also when the same layer existed. `maxMtime`: seconds; later times become this one in the archive.
   */
  commit(directory: string, options?: { readonly signal?: AbortSignal | undefined }): Promise<Layer>
  /** The uncompressed archive, whose digest is the diffID. `parents` bottom first. */
  tar(layer: Layer, parents: readonly Layer[], signal?: AbortSignal): Readable
  /** A layer without content. */
  empty(): Promise<Layer>
  /** Removes the layers that nothing has. @returns what went */
  collect(): Promise<{ readonly removed: readonly Digest[]; readonly bytes: number }>
  /** Removes what killed processes left; after a loss of power checks what had not reached the disk. */
  reconcile(): Promise<void>
}

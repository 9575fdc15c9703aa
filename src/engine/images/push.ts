import type { Digest } from '../../base/digest.ts'
import { TcomposeError } from '../../base/errors.ts'
import type { ImageStore } from './images.ts'

export async function pushImage(_store: ImageStore, ref: string, _options: object): Promise<Digest> {
  throw new TcomposeError('UNSUPPORTED', `pushing ${ref}: registries are not supported yet`)
}

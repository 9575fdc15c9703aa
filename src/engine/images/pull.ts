import { TcomposeError } from '../../base/errors.ts'
import type { ImageStore } from './images.ts'
import type { Image, PullOptions } from './types.ts'

export async function pullImage(_store: ImageStore, ref: string, _options: PullOptions): Promise<Image> {
  throw new TcomposeError('UNSUPPORTED', `pulling ${ref}: registries are not supported yet`)
}

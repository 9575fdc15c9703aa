import { readRootFile } from '../../runtime/root-reader.ts'
import type { AccountFiles } from '../../runtime/user.ts'
import { bundleOf, type ContainerContext, directoryOf } from './deps.ts'
import { observe } from './observe.ts'
import type { StoredContainer } from './store.ts'

/** The account files of a container as its own processes see them, running or not. */
export async function accountFiles(context: ContainerContext, stored: StoredContainer): Promise<AccountFiles> {
  const { state } = observe(stored.state, bundleOf(context, stored.id), context.boot)
  const layers =
    state.pid > 0
      ? [`/proc/${state.pid}/root`]
      : [`${directoryOf(context, stored.id)}/upper`, ...(await (await context.images()).root(stored.imageId)).lowers]
  return { passwd: readRootFile(layers, '/etc/passwd'), group: readRootFile(layers, '/etc/group') }
}

import { TcomposeError } from '../../base/errors.ts'
import { looseId } from '../../base/id.ts'
import { chooseCapabilities } from '../../runtime/capabilities.ts'
import { capabilitiesFor } from '../../runtime/oci-spec.ts'
import { readHostFacts } from '../../runtime/oci-spec-host.ts'
import type { OciProcess } from '../../runtime/oci-spec-types.ts'
import { execInShim } from '../../runtime/shim-client.ts'
import { resolveUser } from '../../runtime/user.ts'
import { accountFiles } from './accounts.ts'
import { streamsOf } from './attach.ts'
import { hostnameOf, mergeEnv, processEnv } from './config.ts'
import { bundleOf, type ContainerContext, emitContainer } from './deps.ts'
import { observe } from './observe.ts'
import type { StoredContainer } from './store.ts'
import type { ExecSpec, ProcessStreams } from './types.ts'

/**
 * Starts a process in a running container.
 * @throws TcomposeError CONFLICT when it does not run or is paused; FAILED with exitCode 126 or 127 when the process
 *   cannot be started; INVALID for an unknown user
 */
export async function execInContainer(
  context: ContainerContext,
  stored: StoredContainer,
  spec: ExecSpec,
): Promise<ProcessStreams> {
  const { state } = observe(stored.state, bundleOf(context, stored.id), context.boot)
  if (state.status === 'paused') {
    throw new TcomposeError('CONFLICT', `Container ${stored.name} is paused, unpause the container before exec`)
  }
  if (state.status !== 'running') throw new TcomposeError('CONFLICT', `container ${stored.id} is not running`)
  if (spec.command.length === 0) throw new TcomposeError('INVALID', 'No exec command specified')
  const process = await execProcess(context, stored, spec)
  const command = spec.command.join(' ')
  const execId = looseId()
  await emitContainer(context, stored, `exec_create: ${command}`, { execID: execId })
  const child = await execInShim(bundleOf(context, stored.id), { process, stdin: spec.stdin ?? false })
  await emitContainer(context, stored, `exec_start: ${command}`, { execID: execId })
  return streamsOf(child, {
    ended: ({ exitCode }) => emitContainer(context, stored, 'exec_die', { execID: execId, exitCode: String(exitCode) }),
  })
}

async function execProcess(context: ContainerContext, stored: StoredContainer, spec: ExecSpec): Promise<OciProcess> {
  const { config, spec: container } = stored.record
  const user = resolveUser(spec.user || config.user, container.groupAdd ?? [], await accountFiles(context, stored))
  const tty = spec.tty ?? false
  const env = mergeEnv(processEnv(config, hostnameOf(container, config), tty), spec.env ?? [])
  const security = container.security ?? {}
  const bounding = chooseCapabilities({
    privileged: security.privileged || spec.privileged || false,
    add: security.capAdd ?? [],
    drop: security.capDrop ?? [],
    available: readHostFacts().capabilities,
  })
  const noNewPrivileges = (security.options ?? []).some((option) => /^no-new-privileges([=:]true)?$/.test(option))
  return {
    ...(tty ? { terminal: true } : {}),
    user: { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids },
    args: spec.command,
    env: env.some((entry) => entry.startsWith('HOME=')) ? env : [...env, `HOME=${user.home}`],
    cwd: spec.workingDir || config.workingDir,
    capabilities: capabilitiesFor(user.uid, bounding),
    ...(noNewPrivileges ? { noNewPrivileges: true } : {}),
  }
}

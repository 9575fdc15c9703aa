import { nodeCrypto } from '../base/node-crypto.ts'
import type { Project } from './types.ts'

/**
 * What decides whether a container still is what its service says: sha256 (hex) of the canonical service without what
 * never changes a container: `build`, `pull_policy`, `scale`, `deploy.replicas`, `depends_on` and `profiles`.
 * @param resolve puts ids in place of `service:x` references, where the caller knows them
 * @throws Error when the project has no such service
 */
export function serviceHash(project: Project, name: string, resolve?: (reference: string) => string): string {
  const service = project.services[name] ?? project.disabled_services[name]
  if (!service) throw new Error(`no service ${name}`)
  const { build, pull_policy, scale, depends_on, profiles, deploy, env_file, label_file, ...rest } = service
  const { replicas, ...kept } = deploy ?? {}
  const hashed: Record<string, unknown> = deploy ? { ...rest, deploy: kept } : rest
  if (resolve) {
    for (const key of ['network_mode', 'ipc', 'pid', 'uts'] as const) {
      const value = rest[key]
      if (typeof value === 'string' && value.startsWith('service:'))
        hashed[key] = resolve(value.slice('service:'.length))
    }
  }
  return sha256(hashed)
}

/** Hash of a network's definition; its name is part of it. */
export function networkHash(project: Project, key: string): string {
  return sha256(project.networks[key])
}

/** Hash of a volume's definition; its name is part of it. */
export function volumeHash(project: Project, key: string): string {
  return sha256(project.volumes[key])
}

function sha256(value: unknown): string {
  return nodeCrypto()
    .createHash('sha256')
    .update(JSON.stringify(sortKeys(value) ?? null))
    .digest('hex')
}

/** The same content always reads the same, in whatever order the file had it. */
function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, one]) => one !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, one]) => [key, sortKeys(one)]),
  )
}

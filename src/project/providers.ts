import type { Emit } from '../base/progress.ts'
import type { Project, Service } from '../compose/types.ts'
import { dependentsOf, startOrder } from './graph.ts'
import { providerOptions } from './plan-down.ts'
import { runProvider } from './provider.ts'

/**
 * Brings services up that a program provides, and gives what they answer to the services that depend on them. This
 * comes before the plan, since variables count for the config hash.
 * @returns the project with those variables set
 */
export async function upProviders(
  project: Project,
  options: {
    readonly emit: Emit
    readonly signal?: AbortSignal | undefined
    readonly onWarning?: ((message: string) => void) | undefined
  },
): Promise<Project> {
  let current = project
  for (const name of startOrder(project)) {
    const service = project.services[name]
    if (!service?.provider) continue
    options.emit({ id: name, status: 'working', text: 'Creating' })
    const { type } = service.provider
    const variables = await runProvider(
      { service: name, command: 'up', type, options: providerOptions(service.provider.options) },
      { project: project.name, emit: options.emit, signal: options.signal },
    )
    options.emit({ id: name, status: 'done', text: 'Created' })
    const prefix = `${name.toUpperCase().replace(/[^A-Z0-9]/g, '_')}_`
    const added: [string, string][] = [...variables.prefixed].map(([key, value]) => [`${prefix}${key}`, value])
    for (const dependent of dependentsOf(current, name)) {
      current = setEnvironment(current, dependent.service, name, [...added, ...variables.raw], options.onWarning)
    }
  }
  return current
}

function setEnvironment(
  project: Project,
  service: string,
  provider: string,
  variables: readonly (readonly [string, string])[],
  onWarning: ((message: string) => void) | undefined,
): Project {
  const config = project.services[service] as Service
  const environment: Record<string, string | null> = { ...config.environment }
  for (const [key, value] of variables) {
    if (key in environment && environment[key] !== value) {
      onWarning?.(
        `provider ${JSON.stringify(provider)} overrides environment variable ${JSON.stringify(key)} of service ${JSON.stringify(service)}`,
      )
    }
    environment[key] = value
  }
  return { ...project, services: { ...project.services, [service]: { ...config, environment } } }
}

import type { Project } from '../compose/types.ts'
import type { Container } from '../engine/containers/types.ts'
import type { Engine } from '../engine/engine.ts'
import { LABEL } from './labels.ts'
import { imageName } from './names.ts'

/** References that `down --rmi` removes: `local` are those that builds named after the project and service. */
export async function imagesToRemove(
  engine: Engine,
  mode: 'local' | 'all',
  input: {
    readonly name: string
    readonly project: Project | undefined
    readonly containers: readonly Container[]
    readonly services: readonly string[]
  },
): Promise<readonly string[]> {
  const { project, services } = input
  const references = new Set<string>()
  if (project) {
    for (const [name, service] of Object.entries(project.services)) {
      if (service.provider || (services.length > 0 && !services.includes(name))) continue
      if (mode === 'all' || !service.image) references.add(imageName(project, name, service))
    }
  } else {
    for (const container of input.containers) {
      const image = container.spec.image
      const service = container.labels[LABEL.service] ?? ''
      if (mode === 'all' || image === `${input.name}-${service}`) references.add(image)
    }
  }
  const present = await Promise.all([...references].map(async (one) => ((await engine.images.find(one)) ? [one] : [])))
  return present.flat().sort()
}

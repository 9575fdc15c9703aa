import { TcomposeError } from '../base/errors.ts'
import type { Project } from '../compose/types.ts'
import { pullImage } from '../project/images.ts'
import type { Session } from './session.ts'

/** `name@sha256:…` of each service's image: of the store where it was pulled from a registry, else pulled now. */
export async function resolveDigests(session: Session, project: Project): Promise<ReadonlyMap<string, string>> {
  const engine = await session.engine()
  const { emit } = await session.progress()
  const found = new Map<string, string>()
  for (const [name, service] of Object.entries(project.services)) {
    if (!service.image || service.image.includes('@')) continue
    let image = await engine.images.find(service.image)
    if (!image || image.repoDigests.length === 0) {
      image = await pullImage(engine, service.image, service.platform, {
        emit,
        signal: session.signal,
        insecureRegistries: session.globals.insecureRegistries,
      })
    }
    const digest = image.repoDigests[0]?.split('@')[1]
    if (digest === undefined) {
      throw new TcomposeError(
        'NOT_FOUND',
        `image ${service.image} of service ${name} has no digest: it was never in a registry`,
      )
    }
    found.set(name, `${service.image}@${digest}`)
  }
  return found
}

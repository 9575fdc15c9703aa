import type { ImageRunConfig } from '../../engine/images/types.ts'
import type { JsonObject } from '../exchange.ts'
import { map, object, strings, text } from './read.ts'

/** What a client gives as the configuration of a new image: a container's, of which only this part is an image's. */
export function readImageConfig(body: JsonObject): ImageRunConfig {
  const user = text(body, 'User')
  const workingDir = text(body, 'WorkingDir')
  const stopSignal = text(body, 'StopSignal')
  const env = strings(body, 'Env')
  const command = strings(body, 'Cmd')
  const entrypoint = strings(body, 'Entrypoint')
  const onBuild = strings(body, 'OnBuild')
  const shell = strings(body, 'Shell')
  const labels = map(body, 'Labels')
  const keys = (name: string): Readonly<Record<string, object>> =>
    Object.fromEntries(Object.keys(object(body, name)).map((key) => [key, {}]))
  const ports = keys('ExposedPorts')
  const volumes = keys('Volumes')
  return {
    ...(user ? { User: user } : {}),
    ...(workingDir ? { WorkingDir: workingDir } : {}),
    ...(stopSignal ? { StopSignal: stopSignal } : {}),
    ...(env ? { Env: env } : {}),
    ...(command ? { Cmd: command } : {}),
    ...(entrypoint ? { Entrypoint: entrypoint } : {}),
    ...(onBuild ? { OnBuild: onBuild } : {}),
    ...(shell ? { Shell: shell } : {}),
    ...(labels ? { Labels: labels } : {}),
    ...(Object.keys(ports).length > 0 ? { ExposedPorts: ports } : {}),
    ...(Object.keys(volumes).length > 0 ? { Volumes: volumes } : {}),
  }
}

import { readFileSync } from 'node:fs'
import type { Engine } from '../engine/engine.ts'
import { writeFileAtomic } from '../platform/files.ts'
import { bootId } from '../platform/process.ts'
import { startsAtBoot } from './restart.ts'

/**
 * Once per boot, by the first agent: starts what ran before the machine went down and must run (`always`,
 * `unless-stopped`). Those that were still running are recorded as ended then, and their policies act as after any end;
 * what is left are those that a person had stopped before.
 */
export async function startAfterBoot(engine: Engine, onError: (error: unknown) => void): Promise<void> {
  const marker = `${engine.paths.run}/agent-boot`
  const boot = bootId()
  if (readMarker(marker) === boot) return
  const bootMs = bootTimeMs()
  for (const container of await engine.containers.list()) {
    const { state, spec } = container
    if (state.status !== 'exited' || !state.stoppedByUser || !(Date.parse(state.finishedAt) < bootMs)) continue
    if (!startsAtBoot({ policy: spec.restart, stoppedByUser: state.stoppedByUser })) continue
    await engine.containers.start(container.id).catch(onError)
  }
  writeFileAtomic(marker, boot, { durable: false })
}

function bootTimeMs(): number {
  const seconds = /^btime (\d+)/m.exec(readFileSync('/proc/stat', 'latin1'))?.[1]
  return Number(seconds) * 1000
}

function readMarker(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

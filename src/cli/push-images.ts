import { messageOf } from '../base/errors.ts'
import { isInsecure } from '../project/images.ts'
import type { Session } from './session.ts'

export interface PushTarget {
  readonly service: string
  readonly reference: string
  /** Whether the file names the image; one that is named after the project belongs nowhere. */
  readonly named: boolean
}

export async function pushImages(
  session: Session,
  targets: readonly PushTarget[],
  options: { readonly ignoreFailures: boolean; readonly quiet?: boolean },
): Promise<void> {
  const engine = await session.engine()
  const { emit } = await session.progress()
  const failures: unknown[] = []
  for (const target of targets) {
    const id = `Image ${target.reference}`
    if (!target.named) {
      emit({ id: target.service, status: 'skipped', text: 'Skipped', details: 'No image to be pushed' })
      continue
    }
    emit({ id, status: 'working', text: 'Pushing' })
    try {
      await engine.images.push(target.reference, {
        emit: options.quiet ? () => {} : emit,
        signal: session.signal,
        insecure: isInsecure(target.reference, session.globals.insecureRegistries),
      })
      emit({ id, status: 'done', text: 'Pushed' })
    } catch (error) {
      emit({ id, status: options.ignoreFailures ? 'warning' : 'error', text: messageOf(error) })
      failures.push(error)
    }
  }
  if (failures.length > 0 && !options.ignoreFailures) throw failures[0]
}

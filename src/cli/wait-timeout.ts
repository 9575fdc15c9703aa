import { isTcomposeError, TcomposeError } from '../base/errors.ts'
import type { Session } from './session.ts'

/** Runs `work`, at most so many seconds. @throws TcomposeError TIMEOUT `application not healthy after 3s` */
export async function withWaitTimeout(
  session: Session,
  seconds: number | undefined,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  if (seconds === undefined || seconds <= 0) return work(session.signal)
  const timeout = AbortSignal.timeout(seconds * 1000)
  try {
    await work(AbortSignal.any([session.signal, timeout]))
  } catch (error) {
    if (!timeout.aborted || session.signal.aborted || !isTcomposeError(error, 'CANCELED')) throw error
    throw new TcomposeError('TIMEOUT', `application not healthy after ${seconds}s`, {
      hint: 'tcompose ps and tcompose logs show what is missing',
    })
  }
}

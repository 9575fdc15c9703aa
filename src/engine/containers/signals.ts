import { constants } from 'node:os'
import { TcomposeError } from '../../base/errors.ts'

const RTMIN = 34
const RTMAX = 64

/** Reads `SIGTERM`, `term`, `15`, `RTMIN+3`, `SIGRTMAX-1`. @throws TcomposeError INVALID `invalid signal: X` */
export function parseSignal(text: string): number {
  const invalid = (): TcomposeError => new TcomposeError('INVALID', `invalid signal: ${text}`)
  if (/^\d+$/.test(text)) {
    const number = Number(text)
    if (number < 1 || number > RTMAX) throw invalid()
    return number
  }
  const name = text.toUpperCase().replace(/^SIG/, '')
  const realtime = /^RT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name)
  if (realtime) {
    const offset = Number(realtime[3] ?? 0)
    if (realtime[2] === (realtime[1] === 'MIN' ? '-' : '+')) throw invalid()
    const number = realtime[1] === 'MIN' ? RTMIN + offset : RTMAX - offset
    if (number < RTMIN || number > RTMAX) throw invalid()
    return number
  }
  const number = (constants.signals as Readonly<Record<string, number>>)[`SIG${name}`]
  if (number === undefined) throw invalid()
  return number
}

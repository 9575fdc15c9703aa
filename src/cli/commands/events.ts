import type { Command } from 'commander'
import { LABEL } from '../../project/labels.ts'
import { openScope } from '../choose.ts'
import type { Session } from '../session.ts'
import { timeOf } from './logs.ts'

interface Options {
  readonly json?: boolean
  readonly since?: string
  readonly until?: string
}

export function configure(command: Command, session: Session): void {
  command
    .usage('[OPTIONS] [SERVICE...]')
    .argument('[services...]')
    .option('--json', 'An object per line')
    .option('--since <time>', 'From this time on')
    .option('--until <time>', 'Until this time')
    .action(async (services: readonly string[], options: Options) => {
      const scope = await openScope(session, services)
      const engine = await session.engine()
      const nowMs = Date.now()
      const sinceNs = toNs(timeOf(options.since, nowMs))
      const untilNs = toNs(timeOf(options.until, nowMs))
      const query = {
        live: untilNs === undefined || BigInt(untilNs) > BigInt(nowMs) * 1_000_000n,
        ...(sinceNs === undefined ? { sinceSequence: engine.events.lastSequence() } : { sinceNs }),
        ...(untilNs === undefined ? {} : { untilNs }),
      }
      try {
        for await (const event of engine.events.watch(query, session.signal)) {
          const { attributes } = event
          const service = attributes[LABEL.service]
          if (event.type !== 'container' || attributes[LABEL.project] !== scope.name || service === undefined) continue
          if (services.length > 0 && !services.includes(service)) continue
          if (attributes[LABEL.oneOff] === 'True') continue
          const shown = Object.fromEntries(
            Object.entries(attributes).filter(([key]) => !key.startsWith('com.docker.compose.')),
          )
          const at = new Date(Number(BigInt(event.timeNs) / 1_000_000n))
          const micros = String((BigInt(event.timeNs) / 1000n) % 1_000_000n).padStart(6, '0')
          if (options.json) {
            session.write(
              `${JSON.stringify({ action: event.action, attributes: shown, id: event.actorId, service, time: `${at.toISOString().slice(0, 19)}.${micros}Z`, type: 'container' })}\n`,
            )
          } else {
            const time = `${at.toISOString().slice(0, 19).replace('T', ' ')}.${micros}`
            const pairs = Object.entries(shown).map(([key, value]) => `${key}=${value}`)
            session.write(`${time} container ${event.action} ${event.actorId} (${pairs.join(', ')})\n`)
          }
        }
      } catch (error) {
        if (!session.signal.aborted) throw error
      }
    })
}

function toNs(time: string | undefined): string | undefined {
  if (time === undefined) return undefined
  if (/^\d+(\.\d+)?$/.test(time)) {
    const [seconds = '0', fraction = ''] = time.split('.')
    return (BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0').slice(0, 9))).toString()
  }
  return (BigInt(Date.parse(time)) * 1_000_000n).toString()
}

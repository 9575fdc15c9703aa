import type { Command } from 'commander'
import { parseDurationMs } from '../../base/duration.ts'
import { TcomposeError } from '../../base/errors.ts'
import { isOneOff, shortName } from '../../project/names.ts'
import { createLogPrinter } from '../../ui/logs.ts'
import { openScope, pick, pickOne } from '../choose.ts'
import { followLogs } from '../follow-logs.ts'
import { integer } from '../options.ts'
import type { Session } from '../session.ts'

interface Options {
  readonly follow?: boolean
  readonly index?: number
  readonly color: boolean
  readonly logPrefix: boolean
  readonly since?: string
  readonly until?: string
  readonly tail: string
  readonly timestamps?: boolean
}

export function configure(command: Command, session: Session): void {
  command
    .usage('[OPTIONS] [SERVICE...]')
    .argument('[services...]')
    .option('-f, --follow', 'Go on with what comes')
    .option('--index <n>', 'Which container of the service', integer('--index'))
    .option('--no-color', 'Print without colours')
    .option('--no-log-prefix', 'Print without the names')
    .option('--since <time>', 'From a time (2026-01-02T13:23:37Z) or so long ago (42m)')
    .option('--until <time>', 'Until a time or so long ago')
    .option('-n, --tail <lines>', 'Lines from the end of each log', 'all')
    .option('-t, --timestamps', 'Show times')
    .action(async (services: readonly string[], options: Options) => {
      const scope = await openScope(session, services)
      const engine = await session.engine()
      const containers =
        options.index === undefined
          ? pick(scope.containers, { services, oneOffs: true }).filter(
              (one) => !isOneOff(one) || services.length > 0 || options.follow,
            )
          : [pickOne(scope, oneService(services), options.index)]
      const nowMs = Date.now()
      const printer = createLogPrinter({
        stdout: process.stdout,
        stderr: process.stderr,
        names: containers.map(shortName),
        color: options.color && session.color(process.stdout),
        prefix: options.logPrefix,
        timestamps: options.timestamps ?? false,
      })
      await followLogs(engine, scope.name, containers, {
        services,
        follow: options.follow ?? false,
        tail: tailOf(options.tail),
        since: timeOf(options.since, nowMs),
        until: timeOf(options.until, nowMs),
        printer,
        timestamps: options.timestamps ?? false,
        signal: session.signal,
        index: options.index,
      })
      await printer.flush()
    })
}

function oneService(services: readonly string[]): string {
  if (services.length === 1) return services[0] as string
  throw new TcomposeError('INVALID', '--index requires one service to be selected')
}

function tailOf(text: string): number | undefined {
  if (text === 'all' || text === '') return undefined
  if (!/^-?\d+$/.test(text)) throw new TcomposeError('INVALID', `invalid value ${JSON.stringify(text)} for --tail`)
  return Number(text) < 0 ? undefined : Number(text)
}

/** A time as it is, or a duration back from now; both as the engine takes them. */
export function timeOf(text: string | undefined, nowMs: number): string | undefined {
  if (text === undefined || text === '') return undefined
  if (/^\d+(\.\d+)?$/.test(text)) return text
  if (/^[\d.]+(ns|us|µs|ms|s|m|h|d|w)/.test(text)) return ((nowMs - parseDurationMs(text)) / 1000).toFixed(9)
  const time = Date.parse(text)
  if (Number.isNaN(time)) {
    throw new TcomposeError('INVALID', `invalid time ${JSON.stringify(text)}`, {
      hint: 'write it as 2026-01-02T13:23:37Z, as Unix seconds, or as 42m for 42 minutes ago',
    })
  }
  return new Date(time).toISOString()
}

import type { Command } from 'commander'
import { checkHost } from '../../engine/doctor/check-host.ts'
import { enginePaths } from '../../engine/state/paths.ts'
import { paint } from '../../ui/color.ts'
import type { Session } from '../session.ts'

export function configure(command: Command, session: Session): void {
  command.option('--format <format>', 'table or json', 'table').action(async (options: { format: string }) => {
    const checks = await checkHost(enginePaths(session.env))
    if (options.format === 'json') session.write(`${JSON.stringify(checks)}\n`)
    else {
      const color = session.color(process.stdout)
      const marks = {
        ok: paint('ok  ', 'green', color),
        warn: paint('warn', 'yellow', color),
        fail: paint('FAIL', 'red', color),
      }
      for (const check of checks) {
        session.write(`${marks[check.status]}  ${check.title}${check.detail ? `: ${check.detail}` : ''}\n`)
        if (check.status !== 'ok' && check.fix)
          session.write(`      ${paint('mend with', 'cyan', color)}: ${check.fix}\n`)
      }
    }
    if (checks.some((check) => check.status === 'fail')) session.exitCode = 1
  })
}

import type { Command } from 'commander'
import { TcomposeError } from '../../base/errors.ts'
import { openScope, pickOne } from '../choose.ts'
import { parseInteger } from '../globals.ts'
import { integer } from '../options.ts'
import type { Session } from '../session.ts'

export function configure(command: Command, session: Session): void {
  command
    .usage('[OPTIONS] SERVICE PRIVATE_PORT')
    .argument('<service>')
    .argument('<port>')
    .option('--index <n>', 'Which container of the service', integer('--index'))
    .option('--protocol <protocol>', 'tcp or udp', 'tcp')
    .action(async (service: string, text: string, options: { index?: number; protocol: string }) => {
      const [number = '', suffix] = text.split('/')
      const port = parseInteger(number, 'the port')
      const protocol = suffix ?? options.protocol
      const container = pickOne(await openScope(session, [service]), service, options.index)
      const found = container.ports.find((one) => one.containerPort === port && one.protocol === protocol)
      if (!found) {
        const known = container.ports.map((one) => `${one.containerPort}/${one.protocol}`).join(', ')
        throw new TcomposeError(
          'NOT_FOUND',
          `no port ${port}/${protocol} for container ${container.name}: ${known || 'it publishes none'}`,
        )
      }
      const ip = found.hostIp === '' ? '0.0.0.0' : found.hostIp
      session.write(`${ip.includes(':') ? `[${ip}]` : ip}:${found.hostPort}\n`)
    })
}

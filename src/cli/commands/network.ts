import type { Command } from 'commander'
import { shortId } from '../../base/digest.ts'
import { TcomposeError } from '../../base/errors.ts'
import type { NetworkSpec } from '../../engine/networks/types.ts'
import { formatRows } from '../format.ts'
import { keyValues } from '../key-values.ts'
import { collect } from '../options.ts'
import type { Session } from '../session.ts'
import { sure } from '../sure.ts'

const COLUMNS = [
  ['NETWORK ID', 'ID'],
  ['NAME', 'Name'],
  ['DRIVER', 'Driver'],
  ['SUBNET', 'Subnet'],
] as const

interface CreateOptions {
  readonly driver: string
  readonly opt?: readonly string[]
  readonly label?: readonly string[]
  readonly internal?: boolean
  readonly ipv6?: boolean
  readonly attachable?: boolean
  readonly subnet?: readonly string[]
  readonly gateway?: readonly string[]
  readonly ipRange?: readonly string[]
}

export function configure(command: Command, session: Session): void {
  command.usage('COMMAND').action(() => command.help())

  command
    .command('create')
    .description('Create a network')
    .argument('<name>')
    .option('-d, --driver <driver>', 'bridge, macvlan or ipvlan', 'bridge')
    .option('-o, --opt <name=value>', 'Driver option (repeatable)', collect)
    .option('--label <name=value>', 'Label (repeatable)', collect)
    .option('--internal', 'No way out')
    .option('--ipv6', 'IPv6 too')
    .option('--attachable', 'Accepted for scripts: every network is')
    .option('--subnet <subnet>', 'Subnet (repeatable)', collect)
    .option('--gateway <address>', 'Gateway of the subnet (repeatable)', collect)
    .option('--ip-range <range>', 'Range that addresses are given from (repeatable)', collect)
    .action(async (name: string, options: CreateOptions) => {
      const network = await (await session.engine()).networks.create(specOf(name, options))
      session.write(`${network.id}\n`)
    })

  command
    .command('ls')
    .aliases(['list'])
    .description('List networks')
    .option('-q, --quiet', 'Show ids alone')
    .option('--no-trunc', 'Do not cut the output')
    .option('--format <format>', 'table, table TEMPLATE, json, or a Go template', 'table')
    .action(async (options: { quiet?: boolean; trunc: boolean; format: string }) => {
      const networks = await (await session.engine()).networks.list()
      const rows = networks.map((one) => ({
        ID: options.trunc ? shortId(one.id) : one.id,
        Name: one.name,
        Driver: one.driver,
        Subnet: [one.ipv4Subnet, one.ipv6Subnet].filter((subnet) => subnet !== '').join(', '),
        Scope: 'local',
        Internal: String(one.spec.internal ?? false),
      }))
      session.write(
        options.quiet ? rows.map((row) => `${row.ID}\n`).join('') : formatRows(options.format, COLUMNS, rows),
      )
    })

  command
    .command('inspect')
    .description('Show networks in detail')
    .argument('<networks...>')
    .action(async (references: readonly string[]) => {
      const engine = await session.engine()
      const shown = await Promise.all(
        references.map(async (reference) => {
          const network = await engine.networks.get(reference)
          const containers = await engine.networks.containersOf(network.id)
          return {
            Name: network.name,
            Id: network.id,
            Created: network.createdAt,
            Scope: 'local',
            Driver: network.driver,
            Internal: network.spec.internal ?? false,
            Bridge: network.bridge,
            IPAM: [
              ...(network.ipv4Subnet ? [{ Subnet: network.ipv4Subnet, Gateway: network.ipv4Gateway }] : []),
              ...(network.ipv6Subnet ? [{ Subnet: network.ipv6Subnet, Gateway: network.ipv6Gateway }] : []),
            ],
            Containers: containers,
            Labels: network.labels,
          }
        }),
      )
      session.write(`${JSON.stringify(shown, null, 4)}\n`)
    })

  command
    .command('rm')
    .aliases(['remove'])
    .description('Remove networks')
    .argument('<networks...>')
    .action(async (references: readonly string[]) => {
      const engine = await session.engine()
      for (const reference of references) {
        await engine.networks.remove(reference)
        session.write(`${reference}\n`)
      }
    })

  command
    .command('prune')
    .description('Remove networks that no container is on')
    .option('-f, --force', 'Do not ask')
    .action(async (options: { force?: boolean }) => {
      if (
        !(await sure(
          session,
          'WARNING! This will remove all networks not used by at least one container.',
          options.force,
        ))
      )
        return
      const engine = await session.engine()
      for (const network of await engine.networks.list()) {
        if (['bridge', 'host', 'none'].includes(network.name)) continue
        if ((await engine.networks.containersOf(network.id)).length > 0) continue
        await engine.networks.remove(network.id)
        session.write(`${network.name}\n`)
      }
    })
}

function specOf(name: string, options: CreateOptions): NetworkSpec {
  const { driver } = options
  if (driver !== 'bridge' && driver !== 'macvlan' && driver !== 'ipvlan') {
    throw new TcomposeError('UNSUPPORTED', `network driver ${JSON.stringify(driver)} is not supported`, {
      hint: 'use bridge, macvlan or ipvlan',
    })
  }
  const pools = (options.subnet ?? []).map((subnet, index) => ({
    subnet,
    ...(options.gateway?.[index] ? { gateway: options.gateway[index] as string } : {}),
    ...(options.ipRange?.[index] ? { ipRange: options.ipRange[index] as string } : {}),
  }))
  return {
    name,
    driver,
    driverOpts: keyValues(options.opt ?? []),
    labels: keyValues(options.label ?? []),
    internal: options.internal ?? false,
    enableIpv6: options.ipv6 ?? false,
    attachable: options.attachable ?? false,
    ...(pools.length > 0 ? { ipam: { pools } } : {}),
  }
}

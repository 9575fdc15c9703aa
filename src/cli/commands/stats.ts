import type { Command } from 'commander'
import { sleep } from '../../base/concurrency.ts'
import { shortId } from '../../base/digest.ts'
import { isTcomposeError, TcomposeError } from '../../base/errors.ts'
import { formatBinarySize, formatSize } from '../../base/size.ts'
import type { Container, StatsSample } from '../../engine/containers/types.ts'
import type { TemplateData } from '../../ui/template.ts'
import { openScope, pick } from '../choose.ts'
import { formatRows } from '../format.ts'
import type { Session } from '../session.ts'

interface Options {
  readonly all?: boolean
  readonly format: string
  readonly stream: boolean
  readonly trunc: boolean
}

const COLUMNS = [
  ['CONTAINER ID', 'ID'],
  ['NAME', 'Name'],
  ['CPU %', 'CPUPerc'],
  ['MEM USAGE / LIMIT', 'MemUsage'],
  ['MEM %', 'MemPerc'],
  ['NET I/O', 'NetIO'],
  ['BLOCK I/O', 'BlockIO'],
  ['PIDS', 'PIDs'],
] as const

export function configure(command: Command, session: Session): void {
  command
    .usage('[OPTIONS] [SERVICE]')
    .argument('[service]')
    .option('-a, --all', 'Show stopped containers too')
    .option('--format <format>', 'table, table TEMPLATE, json, or a Go template', 'table')
    .option('--no-stream', 'Show one result and end')
    .option('--no-trunc', 'Do not cut the output')
    .action((service: string | undefined, options: Options) => stats(session, service, options))
}

async function stats(session: Session, service: string | undefined, options: Options): Promise<void> {
  const services = service === undefined ? [] : [service]
  const engine = await session.engine()
  let before = new Map<string, StatsSample>()
  for (let round = 0; ; round++) {
    const scope = await openScope(session, services)
    const shown = pick(scope.containers, { services, oneOffs: true }).filter(
      (one) => options.all || one.state.status === 'running',
    )
    if (shown.length === 0 && round === 0 && service !== undefined) {
      throw new TcomposeError('NOT_FOUND', `no container found for service ${JSON.stringify(service)}`)
    }
    const samples = new Map<string, StatsSample>()
    await Promise.all(
      shown.map(async (one) => {
        try {
          if (one.state.status === 'running') samples.set(one.id, await engine.containers.stats(one.id))
        } catch (error) {
          if (!isTcomposeError(error)) throw error
        }
      }),
    )
    // A share of the processor needs two samples.
    if (round > 0) {
      const rows = shown.map((one) => view(one, before.get(one.id), samples.get(one.id), options.trunc))
      const text = formatRows(options.format, COLUMNS, rows)
      session.write(options.stream && process.stdout.isTTY ? `\x1b[H\x1b[J${text}` : text)
      if (!options.stream) return
    }
    before = samples
    try {
      await sleep(round === 0 ? 500 : 1000, session.signal)
    } catch {
      return
    }
  }
}

function view(
  container: Container,
  before: StatsSample | undefined,
  now: StatsSample | undefined,
  truncate: boolean,
): TemplateData {
  const id = truncate ? shortId(container.id) : container.id
  const common = { Container: id, ID: id, Name: container.name }
  if (!now) {
    return {
      ...common,
      CPUPerc: '--',
      MemUsage: '-- / --',
      MemPerc: '--',
      NetIO: '-- / --',
      BlockIO: '-- / --',
      PIDs: '--',
    }
  }
  const cpu = before ? now.cpuTotalNs - before.cpuTotalNs : 0
  const machine = before ? now.systemCpuNs - before.systemCpuNs : 0
  const share = machine > 0 ? (cpu / machine) * now.onlineCpus * 100 : 0
  const memory = now.memoryLimitBytes > 0 ? (now.memoryWorkingBytes / now.memoryLimitBytes) * 100 : 0
  const networks = Object.values(now.networks)
  const received = networks.reduce((sum, one) => sum + one.rxBytes, 0)
  const sent = networks.reduce((sum, one) => sum + one.txBytes, 0)
  return {
    ...common,
    CPUPerc: `${share.toFixed(2)}%`,
    MemUsage: `${formatBinarySize(now.memoryWorkingBytes)} / ${formatBinarySize(now.memoryLimitBytes)}`,
    MemPerc: `${memory.toFixed(2)}%`,
    NetIO: `${formatSize(received)} / ${formatSize(sent)}`,
    BlockIO: `${formatSize(now.blockReadBytes)} / ${formatSize(now.blockWriteBytes)}`,
    PIDs: String(now.pids),
  }
}

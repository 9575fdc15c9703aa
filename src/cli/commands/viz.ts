import { type Command, Option } from 'commander'
import type { Session } from '../session.ts'
import { formatDot } from '../viz-dot.ts'
import { projectGraph } from '../viz-graph.ts'
import { formatSvg } from '../viz-svg.ts'

interface Options {
  readonly format: string
  readonly image?: boolean
  readonly networks?: boolean
  readonly ports?: boolean
  readonly volumes?: boolean
}

export function configure(command: Command, session: Session): void {
  command
    .usage('[OPTIONS]')
    .addOption(new Option('--format <format>', 'Output format').choices(['dot', 'svg']).default('dot'))
    .option('--image', "Show services' images")
    .option('--networks', 'Show networks')
    .option('--ports', 'Show published ports')
    .option('--volumes', 'Show named volumes')
    .addHelpText('after', '\nExamples:\n  tcompose viz --networks --ports --format svg > project.svg\n')
    .action(async (options: Options) => {
      const project = await session.project({ keepOthers: true })
      const graph = projectGraph(project, {
        image: options.image ?? false,
        networks: options.networks ?? false,
        ports: options.ports ?? false,
        volumes: options.volumes ?? false,
      })
      session.write(options.format === 'svg' ? await formatSvg(graph) : formatDot(graph))
    })
}

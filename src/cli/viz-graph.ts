import type { Project } from '../compose/types.ts'

export interface GraphNode {
  readonly id: string
  readonly kind: 'service' | 'network' | 'volume'
  readonly lines: readonly string[]
}

export interface GraphEdge {
  readonly from: string
  readonly to: string
  readonly label: string
  /** Membership in networks and mounts are drawn lighter than dependencies. */
  readonly kind: 'dependency' | 'network' | 'volume'
}

export interface Graph {
  readonly name: string
  readonly nodes: readonly GraphNode[]
  readonly edges: readonly GraphEdge[]
}

/** The project as a graph: services by their dependencies, and with what they share where asked for. */
export function projectGraph(
  project: Project,
  show: { readonly image: boolean; readonly networks: boolean; readonly ports: boolean; readonly volumes: boolean },
): Graph {
  const nodes: GraphNode[] = []
  const edges: GraphEdge[] = []
  for (const [name, service] of Object.entries(project.services).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const lines = [name]
    if (show.image && service.image) lines.push(service.image)
    if (show.ports) {
      for (const port of service.ports ?? [])
        lines.push(`${port.published ?? ''}:${port.target}/${port.protocol ?? 'tcp'}`)
    }
    nodes.push({ id: `service:${name}`, kind: 'service', lines })
    for (const [other, one] of Object.entries(service.depends_on ?? {})) {
      if (!project.services[other]) continue
      const label =
        one.condition === 'service_started' ? '' : one.condition.replace('service_', '').replaceAll('_', ' ')
      edges.push({ from: `service:${name}`, to: `service:${other}`, label, kind: 'dependency' })
    }
    if (show.networks) {
      for (const key of Object.keys(service.networks ?? {})) {
        edges.push({ from: `service:${name}`, to: `network:${key}`, label: '', kind: 'network' })
      }
    }
    if (show.volumes) {
      for (const volume of service.volumes ?? []) {
        if (volume.type !== 'volume' || !volume.source) continue
        edges.push({ from: `service:${name}`, to: `volume:${volume.source}`, label: volume.target, kind: 'volume' })
      }
    }
  }
  if (show.networks) {
    for (const key of Object.keys(project.networks)) nodes.push({ id: `network:${key}`, kind: 'network', lines: [key] })
  }
  if (show.volumes) {
    for (const key of Object.keys(project.volumes)) nodes.push({ id: `volume:${key}`, kind: 'volume', lines: [key] })
  }
  return { name: project.name, nodes, edges }
}

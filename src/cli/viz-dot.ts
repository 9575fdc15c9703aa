import type { Graph, GraphNode } from './viz-graph.ts'

const SHAPES: Readonly<Record<GraphNode['kind'], string>> = { service: 'box', network: 'ellipse', volume: 'cylinder' }

/** Graphviz's language. */
export function formatDot(graph: Graph): string {
  const quote = (text: string): string => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
  const nodes = graph.nodes.map(
    (node) =>
      `  ${quote(node.id)} [shape=${SHAPES[node.kind]} label=${quote(node.lines.join('\n')).replaceAll('\n', '\\n')}];\n`,
  )
  const edges = graph.edges.map((edge) => {
    const attributes = [
      ...(edge.label ? [`label=${quote(edge.label)}`] : []),
      ...(edge.kind === 'dependency' ? [] : ['style=dashed', 'dir=none']),
    ]
    return `  ${quote(edge.from)} -> ${quote(edge.to)}${attributes.length > 0 ? ` [${attributes.join(' ')}]` : ''};\n`
  })
  return `digraph ${quote(graph.name)} {\n  rankdir=LR;\n${nodes.join('')}${edges.join('')}}\n`
}

import type { Graph, GraphNode } from './viz-graph.ts'

const FONT_SIZE = 13
const LINE_HEIGHT = 17
const CHAR_WIDTH = 7.6
const FILLS: Readonly<Record<GraphNode['kind'], string>> = { service: '#e8f1fb', network: '#eaf7ea', volume: '#fbf3e0' }

interface Placed {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** The graph laid out by dagre and drawn as SVG, from dependents on the left to dependencies on the right. */
export async function formatSvg(graph: Graph): Promise<string> {
  const { Graph: LayoutGraph, layout } = await loadDagre()
  const drawing = new LayoutGraph({ multigraph: true })
  drawing.setGraph({ rankdir: 'LR', nodesep: 24, ranksep: 60, marginx: 12, marginy: 12 })
  drawing.setDefaultEdgeLabel(() => ({}))
  for (const node of graph.nodes) {
    const longest = Math.max(...node.lines.map((line) => line.length))
    drawing.setNode(node.id, { width: longest * CHAR_WIDTH + 24, height: node.lines.length * LINE_HEIGHT + 14 })
  }
  graph.edges.forEach((edge, index) => {
    drawing.setEdge(
      edge.from,
      edge.to,
      { width: edge.label.length * CHAR_WIDTH, height: LINE_HEIGHT, labelpos: 'c' },
      String(index),
    )
  })
  layout(drawing)
  const { width = 0, height = 0 } = drawing.graph() as { readonly width?: number; readonly height?: number }
  const edges = graph.edges.map((edge, index) => {
    const placed = drawing.edge(edge.from, edge.to, String(index)) as {
      readonly points: readonly { readonly x: number; readonly y: number }[]
      readonly x?: number
      readonly y?: number
    }
    const path = placed.points
      .map((point, at) => `${at === 0 ? 'M' : 'L'}${round(point.x)} ${round(point.y)}`)
      .join(' ')
    const style = edge.kind === 'dependency' ? 'marker-end="url(#arrow)"' : 'stroke-dasharray="4 3"'
    const label =
      edge.label && placed.x !== undefined && placed.y !== undefined
        ? `<text x="${round(placed.x)}" y="${round(placed.y)}" class="edge">${escapeXml(edge.label)}</text>`
        : ''
    return `<path d="${path}" fill="none" stroke="#777" ${style}/>${label}`
  })
  const nodes = graph.nodes.map((node) => drawNode(node, drawing.node(node.id) as Placed))
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${Math.ceil(width)}" height="${Math.ceil(height)}" viewBox="0 0 ${Math.ceil(width)} ${Math.ceil(height)}">`,
    `<title>${escapeXml(graph.name)}</title>`,
    `<style>text{font:${FONT_SIZE}px sans-serif;text-anchor:middle;dominant-baseline:middle}.edge{font-size:11px;fill:#555}.name{font-weight:bold}</style>`,
    '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" fill="#777"/></marker></defs>',
    ...edges,
    ...nodes,
    '</svg>',
    '',
  ].join('\n')
}

/** The package is CommonJS in some builds and a namespace in others. */
async function loadDagre() {
  const module = await import('@dagrejs/dagre')
  const dagre = 'default' in module ? (module.default as typeof module) : module
  return { Graph: dagre.graphlib.Graph, layout: dagre.layout }
}

function drawNode(node: GraphNode, placed: Placed): string {
  const left = round(placed.x - placed.width / 2)
  const top = round(placed.y - placed.height / 2)
  const radius = node.kind === 'service' ? 5 : placed.height / 2
  const first = placed.y - ((node.lines.length - 1) * LINE_HEIGHT) / 2
  const texts = node.lines.map(
    (line, index) =>
      `<text x="${round(placed.x)}" y="${round(first + index * LINE_HEIGHT)}"${index === 0 ? ' class="name"' : ''}>${escapeXml(line)}</text>`,
  )
  return `<rect x="${left}" y="${top}" width="${round(placed.width)}" height="${round(placed.height)}" rx="${round(radius)}" fill="${FILLS[node.kind]}" stroke="#555"/>${texts.join('')}`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

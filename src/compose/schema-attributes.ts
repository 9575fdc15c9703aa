import { readFileSync } from 'node:fs'
import type { Path } from './tree.ts'

interface SchemaNode {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>
  readonly items?: SchemaNode
  readonly oneOf?: readonly SchemaNode[]
  readonly definitions?: Readonly<Record<string, SchemaNode>>
}

let schema: SchemaNode | undefined

/** Names of the attributes that may stand at a path, from the schema itself; for hints, so read only when one is due. */
export function knownAttributes(path: Path): readonly string[] {
  let nodes = expand(rootOf())
  for (const step of path) nodes = nodes.flatMap((node) => stepInto(node, step))
  return nodes.flatMap((node) => Object.keys(node.properties ?? {}))
}

function rootOf(): SchemaNode {
  if (schema) return schema
  for (const place of [
    '../../schemas/compose.schema.json',
    '../schemas/compose.schema.json',
    './compose.schema.json',
  ]) {
    try {
      schema = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8')) as SchemaNode
      return schema
    } catch {
      // Bundled or run from source: it is in one of these places, and without it there is only no hint.
    }
  }
  schema = {}
  return schema
}

function expand(node: SchemaNode): readonly SchemaNode[] {
  if (node.$ref) {
    const target = rootOf().definitions?.[node.$ref.replace('#/definitions/', '')]
    return target ? expand(target) : []
  }
  return node.oneOf ? node.oneOf.flatMap(expand) : [node]
}

function stepInto(node: SchemaNode, step: string | number): readonly SchemaNode[] {
  if (typeof step === 'number') return node.items ? expand(node.items) : []
  const own = node.properties?.[step]
  if (own) return expand(own)
  for (const [pattern, next] of Object.entries(node.patternProperties ?? {})) {
    if (pattern !== '^x-' && new RegExp(pattern, 'u').test(step)) return expand(next)
  }
  return []
}

/** Every attribute of the compose file as a path pattern (`services.*.ports.*.target`), sorted. */
export function allAttributes(): readonly string[] {
  const found = new Set<string>()
  const visit = (node: SchemaNode, path: string, depth: number): void => {
    if (depth > 12) return
    for (const one of expand(node)) {
      for (const [name, next] of Object.entries(one.properties ?? {})) {
        const own = path === '' ? name : `${path}.${name}`
        found.add(own)
        visit(next, own, depth + 1)
      }
      for (const [pattern, next] of Object.entries(one.patternProperties ?? {})) {
        if (pattern !== '^x-') visit(next, `${path}.*`, depth + 1)
      }
      if (one.items) visit(one.items, `${path}.*`, depth + 1)
    }
  }
  visit(rootOf(), '', 0)
  return [...found].sort()
}

import {
  type Alias,
  type Document,
  isAlias,
  isMap as isMapNode,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
  type Scalar,
  type YAMLError,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml'
import { TcomposeError } from '../base/errors.ts'
import { plainValue } from './plain-value.ts'
import { parsePlainYaml } from './plain-yaml.ts'
import type { Draft, Path, Tree, TreeMap } from './tree.ts'

/** Nodes that aliases may add to a document before it counts as an attack. */
const MAX_ALIASED_NODES = 100_000
const MAX_DEPTH = 200
const MAX_FILE_BYTES = 32 * 1024 * 1024

export interface YamlDocument {
  /** Undefined for an empty document. */
  readonly tree: Tree | undefined
  /** Where `!reset` and `!override` stand: what was there before goes away. */
  readonly resets: readonly Path[]
  readonly locate: (path: Path) => Location | undefined
}

export interface Location {
  readonly line: number
  readonly column: number
  /** How many steps of the path were found. */
  readonly depth: number
}

/**
 * Reads YAML 1.2 as go-yaml does for Compose: `yes` and `on` stay strings, `010` is octal, `<<` merges, duplicate keys
 * and keys that are no strings are errors. `!reset` values are left out.
 * @param file for messages
 * @param shown the file as people type it, for places
 * @throws TcomposeError INVALID
 */
export function parseYaml(text: string, file: string, shown = file): readonly YamlDocument[] {
  const tree = text.length > MAX_FILE_BYTES ? undefined : parsePlainYaml(text)
  if (tree === undefined) return parseWhole(text, file, shown)
  let whole: readonly YamlDocument[] | undefined
  const locate = (path: Path): Location | undefined => {
    // Only a mistake needs places, and then speed does not matter.
    whole ??= parseWhole(text, file, shown)
    return whole[0]?.locate(path)
  }
  return [{ tree, resets: [], locate }]
}

export function parseWhole(text: string, file: string, shown = file): readonly YamlDocument[] {
  if (text.length > MAX_FILE_BYTES)
    throw new TcomposeError('INVALID', `failed to parse ${file}: more than ${MAX_FILE_BYTES} bytes`)
  const lines = new LineCounter()
  let documents: Document.Parsed[]
  try {
    const parsed = parseAllDocuments(text.charCodeAt(0) === 0xfeff ? text.slice(1) : text, {
      schema: 'failsafe',
      lineCounter: lines,
      uniqueKeys: false,
      prettyErrors: false,
      logLevel: 'silent',
    })
    documents = Array.isArray(parsed) ? (parsed as Document.Parsed[]) : []
  } catch (error) {
    if (error instanceof RangeError) throw tooDeep(file)
    throw error
  }
  for (const document of documents) {
    const [first] = document.errors
    if (first) throw syntaxError(first, text, { file, shown }, lines)
  }
  return documents.map((document) => construct(document, { file, shown }, lines))
}

function tooDeep(file: string): TcomposeError {
  return new TcomposeError('INVALID', `failed to parse ${file}: nested too deeply`)
}

interface FileName {
  readonly file: string
  readonly shown: string
}

function syntaxError(error: YAMLError, text: string, { file, shown }: FileName, lines: LineCounter): TcomposeError {
  const { line, col } = lines.linePos(error.pos[0])
  const source = text.split('\n')[line - 1] ?? ''
  const isTab = error.code === 'TAB_AS_INDENT' || /^ *\t/.test(source)
  const message = isTab ? 'found a tab character that violates indentation' : error.message.replace(/\.$/, '')
  return new TcomposeError('INVALID', `failed to parse ${file}: yaml: line ${line}: ${message}`, {
    at: `${shown}:${line}:${col}`,
    hint: isTab
      ? 'indent with spaces'
      : /^\s*[\w.-]+:\S/.test(source)
        ? 'a space is needed after the colon'
        : undefined,
  })
}

function construct(document: Document.Parsed, { file, shown }: FileName, lines: LineCounter): YamlDocument {
  const anchors = new Map<string, { readonly node: Node; readonly path: Path }>()
  const open = new Set<Node>()
  const resets: Path[] = []
  let aliased = 0
  let aliasDepth = 0

  const fail = (node: Node | null, message: string, hint?: string): TcomposeError => {
    const { line, col } = lines.linePos(node?.range?.[0] ?? 0)
    return new TcomposeError('INVALID', `failed to parse ${file}: ${message.replaceAll('%line', String(line))}`, {
      at: `${shown}:${line}:${col}`,
      hint,
    })
  }

  /** The node an alias stands for; counts it as open while `use` runs, so that a cycle is seen. */
  const follow = <T>(alias: Alias, path: Path, use: (node: Node) => T, isMerge = false): T => {
    const target = anchors.get(alias.source)
    if (!target) throw fail(alias, `yaml: unknown anchor '${alias.source}' referenced`)
    if (open.has(target.node)) {
      // What is merged comes back below itself under the name it has in its own mapping.
      const below = isMerge ? path.slice(target.path.length, target.path.length + 1) : []
      throw fail(
        alias,
        `cycle detected: node at path ${[...path, ...below].join('.')} references node at path ${[...target.path, ...below].join('.')}`,
      )
    }
    aliasDepth++
    const result = use(target.node)
    aliasDepth--
    return result
  }

  const value = (node: Node | null, path: Path): Tree | undefined => {
    if (node === null) return null
    if (path.length > MAX_DEPTH) throw tooDeep(file)
    if (aliasDepth > 0 && ++aliased > MAX_ALIASED_NODES) {
      throw fail(node, 'yaml: construct errors:\n  line %line: document contains excessive aliasing')
    }
    if (isAlias(node)) return follow(node, path, (target) => value(target, path))
    if (node.anchor && aliasDepth === 0) anchors.set(node.anchor, { node, path })
    if (node.tag === '!reset') {
      resets.push(path)
      return undefined
    }
    if (node.tag === '!override') resets.push(path)
    if (isScalar(node)) return scalarValue(node)
    open.add(node)
    try {
      if (isSeq(node)) return sequence(node, path)
      if (isMapNode(node)) return mapping(node, path)
    } finally {
      open.delete(node)
    }
    return null
  }

  const sequence = (node: YAMLSeq, path: Path): Tree => {
    const out: Tree[] = []
    for (const item of node.items) {
      // `- a: 1` in flow notation may be a bare pair
      const one = isPair(item)
        ? pairAsMap(item, [...path, out.length])
        : value(item as Node | null, [...path, out.length])
      if (one !== undefined) out.push(one)
    }
    return out
  }

  const pairAsMap = (pair: { key: unknown; value: unknown }, path: Path): Tree => {
    const key = keyOf(pair.key as Node | null, path)
    const one = value(pair.value as Node | null, [...path, key])
    return one === undefined ? {} : { [key]: one }
  }

  const keyOf = (node: Node | null, path: Path): string => {
    if (isAlias(node)) return follow(node, path, (target) => keyOf(target, path))
    if (node?.anchor && aliasDepth === 0) anchors.set(node.anchor, { node, path })
    const key = isScalar(node) ? scalarValue(node) : node === null ? null : undefined
    if (typeof key === 'string' && key !== '__proto__') return key
    const where = path.length === 0 ? 'at top level' : `in ${bracketed(path)}`
    throw fail(
      node,
      `non-string key ${where}: ${key === undefined ? String(node) : String(key)}`,
      `write it in quotes: "${String(key)}"`,
    )
  }

  const mapping = (node: YAMLMap, path: Path): TreeMap => {
    const out: Draft = {}
    const seen = new Map<string, Node>()
    const merges: Node[] = []
    for (const pair of node.items) {
      const keyNode = pair.key as Node | null
      if (isMergeKey(keyNode)) {
        merges.push(pair.value as Node)
        continue
      }
      const key = keyOf(keyNode, path)
      const before = seen.get(key)
      if (before) {
        const { line } = lines.linePos(before.range?.[0] ?? 0)
        throw fail(
          keyNode,
          `yaml: construct errors:\n  line %line: mapping key ${JSON.stringify(key)} already defined at line ${line}`,
          'remove one of the two',
        )
      }
      seen.set(key, keyNode as Node)
      const one = value(pair.value as Node | null, [...path, key])
      if (one !== undefined) out[key] = one
    }
    const merge = (from: Node | null, inSequence: boolean): void => {
      if (isAlias(from)) {
        follow(from, path, (target) => merge(target, inSequence), true)
        return
      }
      if (from?.anchor && aliasDepth === 0) anchors.set(from.anchor, { node: from, path })
      if (isSeq(from) && !inSequence) {
        for (const item of from.items) merge(item as Node, true)
        return
      }
      if (!isMapNode(from))
        throw fail(
          from,
          'yaml: construct errors:\n  line %line: map merge requires map or sequence of maps as the value',
        )
      open.add(from)
      const nested: Node[] = []
      for (const pair of from.items) {
        if (isMergeKey(pair.key as Node | null)) {
          nested.push(pair.value as Node)
          continue
        }
        const key = keyOf(pair.key as Node | null, path)
        if (seen.has(key)) continue
        seen.set(key, pair.key as Node)
        const one = value(pair.value as Node | null, [...path, key])
        if (one !== undefined) out[key] = one
      }
      for (const one of nested) merge(one, false)
      open.delete(from)
    }
    for (const one of merges) merge(one, false)
    return out
  }

  const root = document.contents
  const isEmpty = root === null || (isScalar(root) && root.source === '' && root.range[0] === root.range[1])
  let tree: Tree | undefined
  try {
    tree = isEmpty ? undefined : value(root, [])
  } catch (error) {
    if (error instanceof RangeError) throw tooDeep(file)
    throw error
  }
  return { tree, resets, locate: (path) => locate(document, anchors, lines, path) }
}

/** Finds the node of a path, or of the longest part of it that the document has. */
function locate(
  document: Document.Parsed,
  anchors: ReadonlyMap<string, { readonly node: Node }>,
  lines: LineCounter,
  path: Path,
): Location | undefined {
  const resolve = (node: unknown): unknown => (isAlias(node) ? anchors.get(node.source)?.node : node)
  let node: unknown = document.contents
  let offset = document.contents?.range?.[0]
  let depth = 0
  for (const step of path) {
    node = resolve(node)
    let next: unknown
    let position: number | undefined
    if (isMapNode(node)) {
      const find = (map: YAMLMap): void => {
        for (const pair of map.items) {
          if (isScalar(pair.key) && String(pair.key.value) === String(step)) {
            next = pair.value
            position = pair.key.range?.[0]
            return
          }
        }
        for (const pair of map.items) {
          if (next === undefined && isMergeKey(pair.key as Node | null)) {
            const from = resolve(pair.value)
            if (isMapNode(from) && from !== map) find(from)
          }
        }
      }
      find(node)
    } else if (isSeq(node) && /^\d+$/.test(String(step))) {
      next = node.items[Number(step)]
      position = (next as Node | undefined)?.range?.[0]
    }
    if (position === undefined) break
    offset = position
    node = next
    depth++
  }
  if (offset === undefined) return undefined
  const { line, col } = lines.linePos(offset)
  return { line, column: col, depth }
}

function isMergeKey(node: Node | null): boolean {
  return isScalar(node) && node.value === '<<' && (node.type === 'PLAIN' || node.tag === 'tag:yaml.org,2002:merge')
}

function bracketed(path: Path): string {
  return path.map((step, index) => (typeof step === 'number' ? `[${step}]` : index === 0 ? step : `.${step}`)).join('')
}

/** The value of a scalar by go-yaml's rules. */
function scalarValue(node: Scalar): Tree {
  const text = typeof node.value === 'string' ? node.value : (node.source ?? '')
  const tag = node.tag?.replace('tag:yaml.org,2002:', '')
  if (tag === 'str' || tag === 'binary') return tag === 'binary' ? Buffer.from(text, 'base64').toString() : text
  if (node.type !== 'PLAIN' && tag !== 'int' && tag !== 'float' && tag !== 'bool' && tag !== 'null') return text
  return plainValue(text)
}

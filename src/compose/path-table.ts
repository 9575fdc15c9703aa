/**
 * Values filed under path patterns (`services.*.ports`), found while walking a tree: one step per key, no matching of
 * strings. `*` stands for any one key or index.
 */
export interface PathTable<T> {
  readonly value: T | undefined
  readonly next: ReadonlyMap<string, PathTable<T>>
}

interface Node<T> {
  value: T | undefined
  next: Map<string, Node<T>>
}

export function pathTable<T>(entries: Iterable<readonly [pattern: string, value: T]>): PathTable<T> {
  const root: Node<T> = { value: undefined, next: new Map() }
  for (const [pattern, value] of entries) {
    let node = root
    for (const step of pattern.split('.')) {
      let next = node.next.get(step)
      if (!next) {
        next = { value: undefined, next: new Map() }
        node.next.set(step, next)
      }
      node = next
    }
    node.value = value
  }
  return root
}

/** The table one key further down; undefined when nothing is filed below. */
export function descend<T>(table: PathTable<T> | undefined, key: string | number): PathTable<T> | undefined {
  if (!table) return undefined
  return table.next.get(String(key)) ?? table.next.get('*')
}

export function lookUp<T>(table: PathTable<T>, path: readonly (string | number)[]): T | undefined {
  let at: PathTable<T> | undefined = table
  for (const step of path) at = descend(at, step)
  return at?.value
}

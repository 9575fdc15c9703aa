import { type Draft, isList, isMap, type Path, type Tree, type TreeMap } from './tree.ts'

/** Takes away what a later file marks with `!reset` or `!override`, before that file is merged. */
export function applyResets(tree: TreeMap, resets: readonly Path[]): TreeMap {
  let out: Tree = tree
  for (const path of resets) out = remove(out, path)
  return out as TreeMap
}

function remove(tree: Tree, path: Path): Tree {
  const [step, ...rest] = path
  if (step === undefined) return isMap(tree) ? {} : tree
  if (isMap(tree)) {
    if (!Object.hasOwn(tree, step)) return tree
    if (rest.length === 0) {
      const { [String(step)]: _gone, ...kept } = tree
      return kept
    }
    const before = tree[step] as Tree
    const after = remove(before, rest)
    return after === before ? tree : ({ ...tree, [step]: after } as Draft)
  }
  if (isList(tree) && typeof step === 'number' && step < tree.length) {
    if (rest.length === 0) return tree.filter((_, index) => index !== step)
    return tree.map((one, index) => (index === step ? remove(one, rest) : one))
  }
  return tree
}

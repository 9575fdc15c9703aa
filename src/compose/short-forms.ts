import { asList, type Draft, isMap, mapOf, scalarText, type Tree, type TreeMap } from './tree.ts'

/** `build: .` as a map. */
export function canonicalBuild(value: Tree): TreeMap {
  return typeof value === 'string' ? { context: value } : mapOf(value)
}

/** `depends_on: [a]` as a map; what is given as a map already is completed. */
export function dependsOnMap(value: Tree): TreeMap {
  const out: Draft = {}
  if (isMap(value)) {
    for (const name of Object.keys(value)) {
      const one = value[name] as Tree
      out[name] = isMap(one) ? one : { condition: 'service_started', required: true }
    }
    return out
  }
  for (const name of asList(value)) out[scalarText(name)] = { condition: 'service_started', required: true }
  return out
}

/** `[a, b]` as `{a: null, b: null}`: networks and models of a service. */
export function namesToMap(value: Tree): TreeMap {
  if (isMap(value)) return value
  const out: Draft = {}
  for (const name of asList(value)) out[scalarText(name)] = null
  return out
}

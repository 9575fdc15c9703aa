import { mkdirSync } from 'node:fs'
import type { EngineEvent } from '../../../src/engine/events/types.ts'
import { createNetworks } from '../../../src/engine/networks/networks.ts'
import { openDatabase } from '../../../src/engine/state/database.ts'
import { enginePaths } from '../../../src/engine/state/paths.ts'
import { nft } from '../../../src/platform/nft.ts'
import { serveLab } from './lab-serve.ts'

/** A host of its own: the networks of one or more state roots, in a namespace where nothing else is. */
const roots = new Map<string, ReturnType<typeof open>>()

function open(root: string) {
  mkdirSync(root, { recursive: true })
  const paths = enginePaths({ TCOMPOSE_ROOT: root, TCOMPOSE_RUN: `${root}/run` })
  const db = openDatabase(paths.database)
  const events: Omit<EngineEvent, 'sequence' | 'timeNs'>[] = []
  const feed = { emit: (event: (typeof events)[number]) => void events.push(event), lastSequence: () => 0 }
  const networks = createNetworks({ db, paths, events: feed as never, env: {} })
  return { db, paths, networks, events }
}

function at(root: string): ReturnType<typeof open> {
  let found = roots.get(root)
  if (!found) {
    found = open(root)
    roots.set(root, found)
  }
  return found
}

serveLab({
  networks: async (root: string, method: string, values: unknown[]) => {
    const { networks } = at(root)
    return await (networks[method as keyof typeof networks] as (...all: unknown[]) => unknown)(...values)
  },
  instance: (root: string) => at(root).paths.instance,
  events: (root: string) => at(root).events,
  nft: (statements: string[]) => nft(statements),
  sql: (root: string, text: string, ...values: never[]) => at(root).db.run(text, ...values),
  /** The row a container must have before ports can be chosen for it. */
  addContainer: (root: string, id: string) =>
    at(root).db.run("INSERT INTO containers VALUES (?, ?, '', NULL, '{}', '{}')", id, `name-${id}`),
  close: (root: string) => {
    at(root).db[Symbol.dispose]()
    roots.delete(root)
  },
})

import { isTcomposeError } from '../../base/errors.ts'
import { nft, nftHas, nftScript } from '../../platform/nft.ts'
import { addStatements, deleteStatements, type Element, tableScript, versionChain } from './firewall-rules.ts'

/** The instance's own nft table: elements come and go, and the table is made whenever it is found missing. */
export interface Firewall {
  /** Elements that exist with another value are replaced: by the records nobody else may have them. */
  add(elements: readonly Element[]): Promise<void>
  /** Missing elements, and those that have another value by now, are left alone. */
  remove(elements: readonly Element[]): Promise<void>
  /** Makes the table anew with exactly what the records say. */
  restore(): Promise<void>
  /** Takes the whole table away. */
  drop(): Promise<void>
}

/** @param recorded all elements there should be, by the records */
export function createFirewall(table: string, recorded: () => readonly Element[]): Firewall {
  let checked: Promise<void> | undefined

  const restore = async (): Promise<void> => await nftScript(tableScript(table, recorded()))

  /** Once per process: another version of tcompose may have made the table. */
  const check = (): Promise<void> => {
    checked ??= nftHas(`chain inet ${table} ${versionChain()}`).then(async (isThere) => {
      if (!isThere) await restore()
    })
    checked.catch(() => {
      checked = undefined
    })
    return checked
  }

  const replace = async (element: Element): Promise<void> => {
    const { set, key } = element
    try {
      await nft([`delete element inet ${table} ${set} { ${key} }`, ...addStatements(table, [element])])
    } catch (error) {
      if (!isTcomposeError(error, 'NOT_FOUND')) throw error
      await nft(addStatements(table, [element]))
    }
  }

  const add = async (elements: readonly Element[], mayRestore: boolean): Promise<void> => {
    try {
      await nft(addStatements(table, elements))
    } catch (error) {
      if (isTcomposeError(error, 'NOT_FOUND') && mayRestore) {
        // Somebody has flushed the whole rule set, as reloading a firewall does.
        await restore()
        await add(elements, false)
      } else if (isTcomposeError(error, 'CONFLICT')) {
        for (const element of elements) await replace(element)
      } else throw error
    }
  }

  return {
    async add(elements) {
      if (elements.length === 0) return
      await check()
      await add(elements, true)
    },
    async remove(elements) {
      if (elements.length === 0) return
      try {
        await nft(deleteStatements(table, elements))
      } catch (error) {
        if (isTcomposeError(error, 'NOT_FOUND')) return
        if (!isTcomposeError(error, 'CONFLICT')) throw error
        for (const element of elements) {
          await nft(deleteStatements(table, [element])).catch((reason) => {
            if (!isTcomposeError(reason, 'CONFLICT') && !isTcomposeError(reason, 'NOT_FOUND')) throw reason
          })
        }
      }
    },
    restore: async () => {
      await restore()
      checked = Promise.resolve()
    },
    async drop() {
      checked = undefined
      await nft([`add table inet ${table}`, `delete table inet ${table}`])
    },
  }
}

import { TcomposeError } from '../base/errors.ts'
import type { OciUser } from './oci-spec-types.ts'

/** Who a process runs as, and where it is at home. */
export interface ResolvedUser extends OciUser {
  readonly additionalGids: readonly number[]
  /** `/` for somebody the container does not know. */
  readonly home: string
}

/** The container's own account files; undefined where it has none. */
export interface AccountFiles {
  readonly passwd: string | undefined
  readonly group: string | undefined
}

const MAX_ID = 2 ** 31 - 1

/**
 * Resolves `user[:group]` (names or numbers; '' is root) as Docker does: a number needs no entry, a name does; without
 * a group the user's own and all that list it as a member; `groupAdd` on top. The primary group is repeated among the
 * additional ones (GHSA-4wjj-jwc9-2x96).
 * @throws TcomposeError INVALID `unable to find user X: no matching entries in passwd file`
 */
export function resolveUser(text: string, groupAdd: readonly string[], files: AccountFiles): ResolvedUser {
  const [userText = '', groupText = ''] = splitOnce(text)
  const users = parsePasswd(files.passwd ?? '')
  const groups = parseGroups(files.group ?? '')
  const wanted = userText === '' ? 0 : numberOf(userText, 'uids and gids must be in range 0-2147483647')
  const user = users.find((entry) => (wanted === undefined ? entry.name === userText : entry.uid === wanted))
  if (!user && wanted === undefined) {
    throw new TcomposeError('INVALID', `unable to find user ${userText}: no matching entries in passwd file`)
  }
  const uid = user?.uid ?? wanted ?? 0
  const named = groupText === '' ? undefined : groupOf(groupText, groups)
  const gid = named ?? user?.gid ?? 0
  const member =
    named === undefined && user ? groups.filter((group) => group.members.includes(user.name)).map((g) => g.gid) : []
  const added = groupAdd.map((group) => groupOf(group, groups))
  return { uid, gid, additionalGids: [gid, ...member, ...added], home: user?.home || '/' }
}

function splitOnce(text: string): readonly string[] {
  const colon = text.indexOf(':')
  return colon < 0 ? [text] : [text.slice(0, colon), text.slice(colon + 1)]
}

function groupOf(text: string, groups: readonly GroupEntry[]): number {
  const wanted = numberOf(text, 'uids and gids must be in range 0-2147483647')
  if (wanted !== undefined) return wanted
  const found = groups.find((group) => group.name === text)
  if (found) return found.gid
  throw new TcomposeError('INVALID', `unable to find group ${text}: no matching entries in group file`)
}

function numberOf(text: string, outOfRange: string): number | undefined {
  if (!/^-?\d+$/.test(text)) return undefined
  const value = Number(text)
  if (value < 0 || value > MAX_ID) throw new TcomposeError('INVALID', outOfRange)
  return value
}

interface UserEntry {
  readonly name: string
  readonly uid: number
  readonly gid: number
  readonly home: string
}

interface GroupEntry {
  readonly name: string
  readonly gid: number
  readonly members: readonly string[]
}

/** Lines of passwd(5); what is no entry is skipped. */
function parsePasswd(text: string): readonly UserEntry[] {
  return text.split('\n').flatMap((line): UserEntry[] => {
    const [name = '', , uid = '', gid = '', , home = ''] = line.trim().split(':')
    if (name === '' || name.startsWith('#')) return []
    return [{ name, uid: lenient(uid), gid: lenient(gid), home }]
  })
}

function parseGroups(text: string): readonly GroupEntry[] {
  return text.split('\n').flatMap((line): GroupEntry[] => {
    const [name = '', , gid = '', members = ''] = line.trim().split(':')
    if (name === '' || name.startsWith('#')) return []
    return [{ name, gid: lenient(gid), members: members.split(',').filter((member) => member !== '') }]
  })
}

/** A field that is no number counts as 0, as in the library Docker uses. */
function lenient(text: string): number {
  return /^\d+$/.test(text) ? Number(text) : 0
}

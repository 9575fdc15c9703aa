import { TcomposeError } from '../base/errors.ts'
import { parseSizeBytes } from '../base/size.ts'
import { didYouMean } from './suggest.ts'

export type MountType = 'bind' | 'cache' | 'tmpfs' | 'secret' | 'ssh'

/** One `RUN --mount=…`. */
export interface Mount {
  readonly type: MountType
  readonly from: string
  readonly source: string
  /** '' where the type has a default of its own. */
  readonly target: string
  readonly readOnly: boolean
  readonly id: string
  readonly sharing: 'shared' | 'private' | 'locked'
  readonly required: boolean
  /** Permission bits. */
  readonly mode: number | undefined
  readonly uid: number | undefined
  readonly gid: number | undefined
  /** Of a tmpfs; 0: no limit. */
  readonly sizeBytes: number
  /** Variable a secret is given in. */
  readonly env: string | undefined
}

const TYPES: readonly MountType[] = ['bind', 'cache', 'tmpfs', 'secret', 'ssh']
const KEYS: readonly string[] = [
  'type',
  'from',
  'source',
  'target',
  'readonly',
  'readwrite',
  'id',
  'sharing',
  'required',
  'size',
  'mode',
  'uid',
  'gid',
  'src',
  'dst',
  'destination',
  'ro',
  'rw',
  'env',
]
const ALIASES: Readonly<Record<string, string>> = {
  src: 'source',
  dst: 'target',
  destination: 'target',
  ro: 'readonly',
  rw: 'readwrite',
}

/**
 * Reads a mount description.
 * @param expandText expands variables in values (not in `from`); without it values with variables are taken as they are
 * @throws TcomposeError INVALID
 */
export function readMount(text: string, expandText: (text: string) => string = (value) => value): Mount {
  let type: MountType = 'bind'
  let readOnly: boolean | undefined
  const texts: Record<string, string> = {}
  const fields = csvFields(text).map((field) => {
    const equals = field.indexOf('=')
    const name = (equals < 0 ? field : field.slice(0, equals)).toLowerCase()
    return { field, key: ALIASES[name] ?? name, name, value: equals < 0 ? undefined : field.slice(equals + 1) }
  })
  for (const { key, value } of fields) {
    if (key === 'from' && value?.includes('$')) {
      throw invalid("'from' doesn't support variable expansion, define alias stage instead")
    }
  }
  for (const { field, key, name, value: raw } of fields) {
    if (!KEYS.includes(name)) throw invalid(`unexpected key '${name}' in '${field}'${didYouMean(name, KEYS)}`)
    const value = raw === undefined || key === 'from' ? raw : expandText(raw)
    const flag = () => {
      if (value === undefined) return true
      if (value === 'true' || value === '1') return true
      if (value === 'false' || value === '0') return false
      throw invalid(`invalid value for ${name}: ${value}`)
    }
    if (key === 'readonly') readOnly = flag()
    else if (key === 'readwrite') readOnly = !flag()
    else if (key === 'required') texts.required = String(flag())
    else if (value === undefined) throw invalid(`invalid field '${field}' must be a key=value pair`)
    else if (key === 'type') {
      const known = TYPES.find((each) => each === value.toLowerCase())
      if (!known) throw invalid(`unsupported mount type ${JSON.stringify(value)}${didYouMean(value, TYPES)}`)
      type = known
    } else texts[key] = value
  }
  return finish(type, texts, readOnly)
}

function finish(type: MountType, texts: Readonly<Record<string, string>>, readOnly: boolean | undefined): Mount {
  const only = (key: string, types: readonly MountType[], message: string) => {
    if (texts[key] !== undefined && !types.includes(type)) throw invalid(message)
  }
  only('required', ['secret', 'ssh'], `unexpected key 'required' for mount type '${type}'`)
  only('size', ['tmpfs'], `unexpected key 'size' for mount type '${type}'`)
  only('sharing', ['cache'], `invalid cache sharing set for ${JSON.stringify(type)} mount`)
  only('env', ['secret'], `unexpected key 'env' for mount type '${type}'`)
  for (const key of ['uid', 'gid', 'mode']) {
    only(key, ['cache', 'secret', 'ssh'], `${key} not allowed for ${JSON.stringify(type)} type mounts`)
  }
  if (type === 'tmpfs') {
    for (const key of ['from', 'source']) only(key, [], `${key} not allowed for "tmpfs" type mounts`)
  }
  const sharing = (texts.sharing ?? 'shared').toLowerCase()
  if (sharing !== 'shared' && sharing !== 'private' && sharing !== 'locked') {
    throw invalid(`unsupported sharing value ${JSON.stringify(sharing)}`)
  }
  const target = texts.target ?? ''
  if (type === 'secret') {
    if (target === '' && (texts.source ?? '') === '' && (texts.id ?? '') === '' && texts.env === undefined) {
      throw invalid('invalid secret mount. one of source, target required')
    }
  }
  if (readOnly === false && (type === 'secret' || type === 'ssh')) {
    throw invalid(`${type} mount type cannot be readwrite`)
  }
  return {
    type,
    from: texts.from ?? '',
    source: texts.source ?? '',
    target,
    readOnly: readOnly ?? (type !== 'cache' && type !== 'tmpfs'),
    id: texts.id ?? '',
    sharing,
    required: texts.required === 'true',
    mode: numberOf('mode', texts.mode, 8),
    uid: numberOf('uid', texts.uid, 10),
    gid: numberOf('gid', texts.gid, 10),
    sizeBytes: texts.size === undefined ? 0 : parseSizeBytes(texts.size),
    env: texts.env,
  }
}

function numberOf(key: string, text: string | undefined, base: 8 | 10): number | undefined {
  if (text === undefined) return undefined
  if (!(base === 8 ? /^[0-7]+$/ : /^\d+$/).test(text)) throw invalid(`invalid value ${text} for ${key}`)
  return Number.parseInt(text, base)
}

/** Fields between commas; a field may be quoted, with `""` for a quote. @throws TcomposeError INVALID */
export function csvFields(text: string): string[] {
  const fields: string[] = []
  let field = ''
  let quoted = false
  for (let i = 0; i < text.length; i++) {
    const character = text[i] as string
    if (quoted) {
      if (character !== '"') field += character
      else if (text[i + 1] === '"') field += text[++i]
      else quoted = false
    } else if (character === '"' && field === '') quoted = true
    else if (character === ',') {
      fields.push(field)
      field = ''
    } else field += character
  }
  if (quoted) throw invalid(`failed to parse csv mounts: extraneous or missing " in quoted-field: ${text}`)
  fields.push(field)
  return fields
}

function invalid(message: string): TcomposeError {
  return new TcomposeError('INVALID', message)
}

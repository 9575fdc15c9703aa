/** A volume in short syntax, taken apart; `error` says why it cannot be. */
export interface ParsedVolume {
  readonly type: 'bind' | 'volume'
  readonly source?: string
  readonly target: string
  readonly readOnly: boolean
  readonly consistency?: string
  readonly nocopy?: boolean
  readonly propagation?: string
  readonly selinux?: 'z' | 'Z'
  /** Whether the type's own section (`bind: {}`, `volume: {}`) belongs to the canonical form. */
  readonly hasSection: boolean
  readonly error?: string
}

const PROPAGATIONS = new Set(['rprivate', 'private', 'rshared', 'shared', 'rslave', 'slave'])
const CONSISTENCIES = new Set(['consistent', 'cached', 'delegated'])

/** `[SOURCE:]TARGET[:OPTION,…]`; a letter before a colon is a Windows drive. */
export function parseVolume(spec: string): ParsedVolume {
  const broken = (why: string): ParsedVolume => ({
    type: 'volume',
    target: '',
    readOnly: false,
    hasSection: false,
    error: why,
  })
  if (spec === '') return broken('invalid empty volume spec')
  if (spec.length <= 2) return { type: 'volume', target: spec, readOnly: false, hasSection: false }
  const sections: string[] = []
  let section = ''
  for (const character of `${spec}\0`) {
    const isEnd = character === '\0'
    if ((character !== ':' && !isEnd) || (character === ':' && isDrive(section))) {
      section += character
      continue
    }
    if (section === '') return broken(`invalid spec: ${spec}: empty section between colons`)
    if (sections.length === 2 && !isEnd) return broken(`invalid spec: ${spec}: too many colons`)
    sections.push(section)
    section = ''
  }
  const [first = '', second, options = ''] = sections
  if (second === undefined) return { type: 'volume', target: first, readOnly: false, hasSection: true }
  const isFile = isFilePath(first)
  const volume: { -readonly [K in keyof ParsedVolume]: ParsedVolume[K] } = {
    type: isFile ? 'bind' : 'volume',
    source: first,
    target: second,
    readOnly: false,
    hasSection: true,
  }
  for (const option of options === '' ? [] : options.split(',')) {
    if (option === 'ro') volume.readOnly = true
    else if (option === 'rw') volume.readOnly = false
    else if (option === 'nocopy') volume.nocopy = true
    else if (option === 'z' || option === 'Z') volume.selinux = option
    else if (PROPAGATIONS.has(option)) volume.propagation = option
    else if (CONSISTENCIES.has(option)) volume.consistency = option
  }
  return volume
}

function isDrive(section: string): boolean {
  return /^[a-zA-Z]$/.test(section)
}

/** Whether a source names a path of the host rather than a volume. */
function isFilePath(source: string): boolean {
  if (source.startsWith('.') || source.startsWith('/') || source.startsWith('~')) return true
  return /^[a-zA-Z]:/.test(source) || source.startsWith('\\\\')
}

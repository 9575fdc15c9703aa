import { TcomposeError } from '../base/errors.ts'
import { type FlagKind, type Flags, readFlags } from './flags.ts'
import { heredocText, parseHeredocWord } from './heredoc.ts'
import type {
  ArgDefinition,
  Healthcheck,
  InlineFile,
  Instruction,
  KeyValue,
  Placed,
  RunInstruction,
} from './instructions.ts'
import type { Node } from './parse.ts'
import { didYouMean } from './suggest.ts'

export const INSTRUCTION_NAMES: readonly string[] = [
  'ADD',
  'ARG',
  'CMD',
  'COPY',
  'ENTRYPOINT',
  'ENV',
  'EXPOSE',
  'FROM',
  'HEALTHCHECK',
  'LABEL',
  'MAINTAINER',
  'ONBUILD',
  'RUN',
  'SHELL',
  'STOPSIGNAL',
  'USER',
  'VOLUME',
  'WORKDIR',
]

/**
 * Gives a parsed instruction its type. FROM is not one of them: see `readStages`.
 * @throws TcomposeError INVALID, without place
 */
export function parseInstruction(node: Node): Instruction {
  const placed: Placed = {
    line: node.startLine,
    endLine: node.endLine,
    original: node.original,
    written: node.written,
  }
  const name = node.instruction.toUpperCase()
  switch (node.instruction) {
    case 'env':
    case 'label': {
      noFlags(node)
      atLeastOne(name, node)
      return {
        ...placed,
        kind: node.instruction,
        pairs: pairsOf(name, node.args),
        legacy: node.args[2] === '',
      }
    }
    case 'arg':
      noFlags(node)
      atLeastOne(name, node)
      return { ...placed, kind: 'arg', args: node.args.map((word) => argOf(word, node)) }
    case 'maintainer':
      noFlags(node)
      return { ...placed, kind: 'maintainer', maintainer: exactlyOne(name, node) }
    case 'user':
      noFlags(node)
      return { ...placed, kind: 'user', user: exactlyOne(name, node) }
    case 'workdir':
      noFlags(node)
      return { ...placed, kind: 'workdir', path: exactlyOne(name, node) }
    case 'stopsignal':
      noFlags(node)
      return { ...placed, kind: 'stopsignal', stopSignal: exactlyOne(name, node) }
    case 'expose':
      noFlags(node)
      atLeastOne(name, node)
      return { ...placed, kind: 'expose', ports: node.args.toSorted() }
    case 'volume': {
      noFlags(node)
      atLeastOne(name, node)
      const volumes = node.args.map((volume) => volume.trim())
      if (volumes.includes('')) throw invalid('VOLUME specified can not be an empty string')
      return { ...placed, kind: 'volume', volumes }
    }
    case 'shell':
      noFlags(node)
      if (!node.json && node.args.length > 0) throw invalid('SHELL requires the arguments to be in JSON form')
      if (node.args.length === 0) throw invalid('SHELL requires at least one argument')
      return { ...placed, kind: 'shell', words: node.args }
    case 'cmd':
      noFlags(node)
      return { ...placed, kind: 'cmd', shell: !node.json, args: node.args }
    case 'entrypoint':
      noFlags(node)
      return { ...placed, kind: 'entrypoint', shell: !node.json, args: node.args }
    case 'run':
      return parseRun(node, placed)
    case 'copy':
      return parseCopy(node, placed)
    case 'add':
      return parseAdd(node, placed)
    case 'healthcheck':
      return { ...placed, kind: 'healthcheck', healthcheck: parseHealthcheck(node) }
    case 'onbuild':
      return parseOnbuild(node, placed)
    default:
      throw invalid(unknownInstruction(node.written))
  }
}

export function unknownInstruction(written: string): string {
  const lower = written === written.toLowerCase()
  const options = lower ? INSTRUCTION_NAMES.map((each) => each.toLowerCase()) : INSTRUCTION_NAMES
  return `unknown instruction: ${written}${didYouMean(written, options)}`
}

function invalid(message: string): TcomposeError {
  return new TcomposeError('INVALID', message)
}

function noFlags(node: Node): Flags {
  return readFlags(node.flags, {})
}

function atLeastOne(name: string, node: Node): void {
  if (node.args.length === 0) throw invalid(`${name} requires at least one argument`)
}

function exactlyOne(name: string, node: Node): string {
  const [only] = node.args
  if (only === undefined || node.args.length !== 1) throw invalid(`${name} requires exactly one argument`)
  return only
}

function pairsOf(name: string, triples: readonly string[]): readonly KeyValue[] {
  const pairs: KeyValue[] = []
  for (let i = 0; i + 2 < triples.length; i += 3) {
    const key = triples[i] as string
    if (key === '') throw invalid(`${name} names can not be blank`)
    pairs.push({ key, value: triples[i + 1] as string })
  }
  return pairs
}

function argOf(word: string, node: Node): ArgDefinition {
  const equals = word.indexOf('=')
  const key = equals < 0 ? word : word.slice(0, equals)
  if (key === '') throw invalid('ARG names can not be blank')
  return { key, value: equals < 0 ? undefined : word.slice(equals + 1), doc: docOf(node.comments, key) }
}

/** The description of a stage or argument: a comment above it that starts with its name. */
export function docOf(comments: readonly string[], name: string): string | undefined {
  if (name === '') return undefined
  const found = comments.find((comment) => comment.startsWith(`${name} `))
  return found?.slice(name.length + 1)
}

const COPY_FLAGS: Readonly<Record<string, FlagKind>> = {
  from: 'string',
  chown: 'string',
  chmod: 'string',
  link: 'bool',
  parents: 'bool',
  exclude: 'list',
}

const ADD_FLAGS: Readonly<Record<string, FlagKind>> = {
  'keep-git-dir': 'bool',
  chown: 'string',
  chmod: 'string',
  link: 'bool',
  checksum: 'string',
  unpack: 'bool',
  exclude: 'list',
}

function sourcesOf(name: string, node: Node) {
  const { args } = node
  if (args.length < 2) {
    throw invalid(
      `${name} requires at least two arguments, but only one was provided. Destination could not be determined`,
    )
  }
  const isHeredoc = (word: string) => node.heredocs.length > 0 && parseHeredocWord(word) !== undefined
  const destination = args.at(-1) as string
  if (isHeredoc(destination)) throw invalid(`${name} cannot accept a heredoc as a destination`)
  const sources: string[] = []
  const inline: InlineFile[] = []
  for (const word of args.slice(0, -1)) {
    const heredoc = isHeredoc(word) ? parseHeredocWord(word) : undefined
    const body = heredoc && node.heredocs.find((each) => each.name === heredoc.name)
    if (body) inline.push({ name: body.name, content: heredocText(body), expand: body.expand })
    else sources.push(word)
  }
  return { sources, inline, destination }
}

function parseCopy(node: Node, placed: Placed): Instruction {
  const flags = readFlags(node.flags, COPY_FLAGS)
  return {
    ...placed,
    kind: 'copy',
    ...sourcesOf('COPY', node),
    from: flags.text('from'),
    chown: flags.text('chown'),
    chmod: flags.text('chmod'),
    link: flags.bool('link') ?? false,
    parents: flags.bool('parents') ?? false,
    exclude: flags.list('exclude'),
  }
}

function parseAdd(node: Node, placed: Placed): Instruction {
  const flags = readFlags(node.flags, ADD_FLAGS)
  return {
    ...placed,
    kind: 'add',
    ...sourcesOf('ADD', node),
    chown: flags.text('chown'),
    chmod: flags.text('chmod'),
    link: flags.bool('link') ?? false,
    exclude: flags.list('exclude'),
    keepGitDir: flags.bool('keep-git-dir'),
    checksum: flags.text('checksum'),
    unpack: flags.bool('unpack'),
  }
}

function parseRun(node: Node, placed: Placed): RunInstruction {
  const flags = readFlags(node.flags, { mount: 'list', network: 'string', security: 'string', device: 'list' })
  const network = flags.text('network') || 'default'
  if (network !== 'default' && network !== 'none' && network !== 'host') {
    throw invalid(`invalid network mode: ${JSON.stringify(network)}`)
  }
  const security = flags.text('security') || 'sandbox'
  if (security !== 'sandbox' && security !== 'insecure') {
    throw invalid(`security ${JSON.stringify(security)} is not valid`)
  }
  if (node.args.length === 0 && !node.json) throw invalid('RUN requires at least one argument')
  return {
    ...placed,
    kind: 'run',
    shell: !node.json,
    args: node.args,
    heredocs: node.heredocs,
    mounts: flags.list('mount'),
    network,
    security,
    devices: flags.list('device'),
    flagsUsed: flags.used,
  }
}

const UNITS_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
}

/** A Go duration (`1m30s`) in nanoseconds; at least a millisecond, or 0. */
function durationOf(flag: string, text: string): number {
  if (text === '' || text === '0') return 0
  const parts = [...text.matchAll(/(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/g)]
  if (parts.map((part) => part[0]).join('') !== text) throw invalid(`invalid duration ${JSON.stringify(text)}`)
  const ns = parts.reduce((sum, part) => sum + Number(part[1]) * (UNITS_NS[part[2] as string] as number), 0)
  if (ns !== 0 && ns < 1e6) throw invalid(`Interval ${JSON.stringify(flag)} cannot be less than 1ms`)
  return Math.round(ns)
}

function parseHealthcheck(node: Node): Healthcheck {
  const flags = readFlags(node.flags, {
    interval: 'string',
    timeout: 'string',
    'start-period': 'string',
    'start-interval': 'string',
    retries: 'string',
  })
  atLeastOne('HEALTHCHECK', node)
  const [written = '', ...command] = node.args
  const type = written.toUpperCase()
  const none = { interval: 0, timeout: 0, startPeriod: 0, startInterval: 0, retries: 0 }
  if (type === 'NONE') {
    if (command.length > 0) throw invalid('HEALTHCHECK NONE takes no arguments')
    return { test: ['NONE'], ...none }
  }
  if (type !== 'CMD') throw invalid(`Unknown type ${JSON.stringify(type)} in HEALTHCHECK (try CMD)`)
  if (command.length === 0) throw invalid('Missing command after HEALTHCHECK CMD')
  const retriesText = flags.text('retries')
  if (retriesText !== '' && !/^[+-]?\d+$/.test(retriesText)) {
    throw invalid(`invalid number of retries ${JSON.stringify(retriesText)}`)
  }
  const retries = Number(retriesText || 0)
  if (retries < 0) throw invalid(`--retries cannot be negative (${retries})`)
  return {
    test: node.json ? ['CMD', ...command] : ['CMD-SHELL', ...command],
    interval: durationOf('interval', flags.text('interval')),
    timeout: durationOf('timeout', flags.text('timeout')),
    startPeriod: durationOf('start-period', flags.text('start-period')),
    startInterval: durationOf('start-interval', flags.text('start-interval')),
    retries,
  }
}

function parseOnbuild(node: Node, placed: Placed): Instruction {
  noFlags(node)
  const trigger = node.onbuild
  if (!trigger) throw invalid('ONBUILD requires at least one argument')
  if (trigger.instruction === 'onbuild') throw invalid("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
  if (trigger.instruction === 'from' || trigger.instruction === 'maintainer') {
    throw invalid(`${trigger.instruction.toUpperCase()} isn't allowed as an ONBUILD trigger`)
  }
  // What is wrong with it is said now, not when somebody builds on it.
  parseInstruction({ ...trigger, heredocs: node.heredocs })
  const expression = node.original.replace(/^\s*onbuild\s*/i, '')
  const bodies = node.heredocs.map((heredoc) => `\n${heredoc.content}${heredoc.name}`)
  return { ...placed, kind: 'onbuild', expression: expression + bodies.join('') }
}

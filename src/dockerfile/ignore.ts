import { TcomposeError } from '../base/errors.ts'

/** Decides which context paths are left out, by moby's rules (not gitignore's). */
export interface IgnoreMatcher {
  /** @param path relative to the context, without leading slash */
  ignores(path: string): boolean
  /** Something below the ignored directory `path` may be let in again. */
  mayInclude(path: string): boolean
  readonly isEmpty: boolean
}

/** The patterns of an ignore file, cleaned. */
export function parseIgnoreFile(text: string): readonly string[] {
  const patterns: string[] = []
  for (const [index, raw] of text.split('\n').entries()) {
    const line = (index === 0 ? raw.replace(/^\ufeff/, '') : raw).replace(/\r$/, '')
    if (line.startsWith('#')) continue
    let pattern = line.trim()
    if (pattern === '') continue
    const invert = pattern.startsWith('!')
    if (invert) pattern = pattern.slice(1).trim()
    if (pattern !== '') {
      pattern = cleanPath(pattern)
      if (pattern.length > 1 && pattern.startsWith('/')) pattern = pattern.slice(1)
    }
    patterns.push((invert ? '!' : '') + pattern)
  }
  return patterns
}

interface Rule {
  readonly exclude: boolean
  readonly source: string
  readonly matches: (path: string) => boolean
}

/** @throws TcomposeError INVALID for a pattern that is none */
export function createIgnoreMatcher(patterns: readonly string[]): IgnoreMatcher {
  const rules = patterns
    .map((text) => text.trim())
    .filter((text) => text !== '')
    .map(ruleOf)
  const exceptions = rules.filter((rule) => !rule.exclude)
  return {
    isEmpty: rules.length === 0,
    ignores(path) {
      const clean = cleanPath(path)
      const parents = parentsOf(clean)
      let ignored = false
      for (const rule of rules) {
        if (rule.exclude === ignored) continue
        if (rule.matches(clean) || parents.some(rule.matches)) ignored = rule.exclude
      }
      return ignored
    },
    mayInclude(path) {
      return exceptions.some((rule) => {
        const wanted = rule.source.split('/')
        const have = path === '.' ? [] : path.split('/')
        for (const [index, part] of have.entries()) {
          const pattern = wanted[index]
          if (pattern === undefined) return false
          if (/[*?[\\]/.test(pattern)) return true
          if (pattern !== part) return false
        }
        return true
      })
    },
  }
}

function ruleOf(text: string): Rule {
  let pattern = cleanPath(text)
  let exclude = true
  if (pattern.startsWith('!')) {
    if (pattern.length === 1) throw new TcomposeError('INVALID', 'illegal exclusion pattern: "!"')
    exclude = false
    pattern = pattern.slice(1)
  }
  return { exclude, source: pattern, matches: compilePattern(pattern) }
}

/** All proper parent directories of a path. */
function parentsOf(path: string): string[] {
  const parents: string[] = []
  for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
    if (at > 0) parents.push(path.slice(0, at))
  }
  return parents
}

/**
 * A pattern of `*`, `?`, `[…]`, `\x` and `**` (any depth) as a predicate on whole paths.
 * @throws TcomposeError INVALID `syntax error in pattern`
 */
export function compilePattern(pattern: string): (path: string) => boolean {
  checkPattern(pattern)
  if (!/[*?[\\]/.test(pattern)) return (path) => path === pattern
  let source = '^'
  for (let i = 0; i < pattern.length; i++) {
    const character = pattern[i] as string
    if (character === '*' && pattern[i + 1] === '*') {
      i++
      // `**/` eats its slash.
      if (pattern[i + 1] === '/') i++
      if (i + 1 >= pattern.length) source += '.*'
      else source += '(.*/)?'
    } else if (character === '*') source += '[^/]*'
    else if (character === '?') source += '[^/]'
    else if (character === '[') {
      const end = classEnd(pattern, i)
      source += classSource(pattern.slice(i + 1, end))
      i = end
    } else if (character === '\\') source += escapeRegExp(pattern[++i] as string)
    else source += escapeRegExp(character)
  }
  const expression = new RegExp(`${source}$`, 'su')
  return (path) => expression.test(path)
}

function escapeRegExp(character: string): string {
  return character.replace(/[\\^$.*+?()[\]{}|/]/, '\\$&')
}

function classEnd(pattern: string, start: number): number {
  let at = start + 1
  if (pattern[at] === '^') at++
  for (let first = true; at < pattern.length; at++, first = false) {
    if (pattern[at] === '\\') at++
    else if (pattern[at] === ']' && !first) return at
  }
  return -1
}

function classSource(body: string): string {
  const negated = body.startsWith('^')
  const characters: string[] = []
  for (let i = negated ? 1 : 0; i < body.length; i++) {
    characters.push(body[i] === '\\' ? body.slice(i, ++i + 1) : (body[i] as string))
  }
  let out = ''
  for (let i = 0; i < characters.length; i++) {
    const low = (characters[i] as string).slice(-1)
    const high = characters[i + 1] === '-' ? characters[i + 2]?.slice(-1) : undefined
    if (high === undefined) {
      out += escapeInClass(low)
      continue
    }
    i += 2
    out += `${escapeInClass(low)}-${escapeInClass(high)}`
  }
  return negated ? `(?!/)[^${out}]` : `(?!/)[${out}]`
}

function escapeInClass(character: string): string {
  return character.replace(/[\\^\][-]/, '\\$&')
}

/** What Go's filepath.Match would reject. */
export function checkPattern(pattern: string): void {
  const bad = () => new TcomposeError('INVALID', `syntax error in pattern: ${JSON.stringify(pattern)}`)
  for (let i = 0; i < pattern.length; i++) {
    const character = pattern[i]
    if (character === '\\') {
      if (++i >= pattern.length) throw bad()
    } else if (character === '[') {
      let at = i + 1
      if (pattern[at] === '^') at++
      let ranges = 0
      const one = (): string => {
        if (at >= pattern.length || pattern[at] === '-' || pattern[at] === ']') throw bad()
        if (pattern[at] === '\\' && ++at >= pattern.length) throw bad()
        return pattern[at++] as string
      }
      for (;;) {
        if (at >= pattern.length) throw bad()
        if (pattern[at] === ']' && ranges > 0) break
        const low = one()
        if (pattern[at] === '-') {
          at++
          if (one() < low) throw bad()
        }
        ranges++
      }
      i = at
    }
  }
}

/** Go's path.Clean. */
export function cleanPath(path: string): string {
  const rooted = path.startsWith('/')
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue
    if (part === '..') {
      if (parts.length > 0 && parts.at(-1) !== '..') parts.pop()
      else if (!rooted) parts.push(part)
    } else parts.push(part)
  }
  const joined = parts.join('/')
  return rooted ? `/${joined}` : joined || '.'
}

/** A COPY source as a path of the context: nothing in front, `.` for the context itself. */
export function contextName(source: string): string {
  return cleanPath(`/${source}`).slice(1) || '.'
}

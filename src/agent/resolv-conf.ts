import { readFileSync, statSync } from 'node:fs'

/** What concerns a server that asks others: resolv.conf(5). */
export interface ResolvConf {
  readonly servers: readonly string[]
  /** Undefined when not set. */
  readonly ndots: number | undefined
}

export function parseResolvConf(text: string): ResolvConf {
  const servers: string[] = []
  let ndots: number | undefined
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/)
    if (keyword === 'nameserver' && values[0]) servers.push(values[0])
    if (keyword === 'options') ndots = ndotsOf(values) ?? ndots
  }
  return { servers, ndots }
}

export function ndotsOf(options: readonly string[]): number | undefined {
  const value = options.findLast((option) => /^ndots:\d+$/.test(option))
  return value === undefined ? undefined : Number(value.slice('ndots:'.length))
}

const LOOK_EVERY_MS = 1000

/** The host's own, read again when it has changed. Without any server the one resolv.conf(5) falls back to. */
export function createHostResolvConf(path = '/etc/resolv.conf'): () => ResolvConf {
  let known: ResolvConf = { servers: [], ndots: undefined }
  let lookedAtMs = Number.NEGATIVE_INFINITY
  let version = ''
  return () => {
    const nowMs = performance.now()
    if (nowMs - lookedAtMs < LOOK_EVERY_MS) return known
    lookedAtMs = nowMs
    const stat = statSync(path, { throwIfNoEntry: false })
    const now = stat ? `${stat.ino} ${stat.mtimeMs} ${stat.size}` : 'none'
    if (now === version) return known
    version = now
    const read = parseResolvConf(stat ? readFileSync(path, 'utf8') : '')
    known = read.servers.length > 0 ? read : { ...read, servers: ['127.0.0.1'] }
    return known
  }
}

import { mkdirSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { errnoOf, TcomposeError } from '../../base/errors.ts'
import { run } from '../../platform/exec.ts'
import { writeFileAtomic } from '../../platform/files.ts'
import type { Credentials } from './types.ts'

/** The key of Docker Hub in credential stores, older than its present host name. */
export const HUB_KEY = 'https://index.docker.io/v1/'
/** In place of a user name: the secret is an identity token. */
const TOKEN_USER = '<token>'

interface AuthEntry {
  auth?: string
  username?: string
  password?: string
  identitytoken?: string
}

interface ConfigFile {
  auths?: Record<string, AuthEntry>
  credsStore?: string
  credHelpers?: Record<string, string>
  HttpHeaders?: Record<string, string>
}

/** Docker's client configuration, of which only what concerns registries is read; the rest is kept when it is written. */
export interface DockerConfig {
  readonly path: string
  /** Credentials for a registry host (`docker.io` for Docker Hub); undefined when there are none. */
  credentials(domain: string): Promise<Credentials | undefined>
  store(domain: string, credentials: Credentials): Promise<void>
  /** @returns whether there was something to erase */
  erase(domain: string): Promise<boolean>
  /** Hosts that have an entry. */
  domains(): readonly string[]
}

/** @param env DOCKER_CONFIG names its directory; the default is `~/.docker` */
export function openDockerConfig(env: NodeJS.ProcessEnv): DockerConfig {
  const directory = env.DOCKER_CONFIG || `${env.HOME || homedir()}/.docker`
  const path = `${directory}/config.json`

  const read = (): ConfigFile => {
    let text: string
    try {
      text = readFileSync(path, 'utf8')
    } catch (error) {
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return {}
      throw error
    }
    try {
      return JSON.parse(text) as ConfigFile
    } catch (cause) {
      throw new TcomposeError('INVALID', `${path} is no JSON`, { cause })
    }
  }

  const write = (config: ConfigFile) => {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    writeFileAtomic(path, `${JSON.stringify(config, undefined, '\t')}\n`, { mode: 0o600 })
  }

  const helperFor = (config: ConfigFile, domain: string) => config.credHelpers?.[domain] ?? config.credsStore

  return {
    path,
    async credentials(domain) {
      const config = read()
      const helper = helperFor(config, domain)
      if (helper !== undefined) {
        const found = await askHelper(helper, keyOf(domain), env)
        if (found) return found
      }
      const entry = Object.entries(config.auths ?? {}).find(([key]) => domainOf(key) === domain)?.[1]
      return entry && decode(entry)
    },
    async store(domain, credentials) {
      const config = read()
      const helper = helperFor(config, domain)
      if (helper !== undefined) {
        const token = credentials.identityToken
        const secret = {
          ServerURL: keyOf(domain),
          Username: token === undefined ? credentials.username : TOKEN_USER,
          Secret: token ?? credentials.password,
        }
        await runHelper(helper, 'store', JSON.stringify(secret), env)
        write({ ...config, auths: { ...config.auths, [keyOf(domain)]: {} } })
        return
      }
      const auth = Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')
      const entry: AuthEntry = {
        auth,
        ...(credentials.identityToken ? { identitytoken: credentials.identityToken } : {}),
      }
      write({ ...config, auths: { ...config.auths, [keyOf(domain)]: entry } })
    },
    async erase(domain) {
      const config = read()
      const keys = Object.keys(config.auths ?? {}).filter((key) => domainOf(key) === domain)
      const helper = helperFor(config, domain)
      if (helper !== undefined) await runHelper(helper, 'erase', keyOf(domain), env).catch(() => {})
      if (keys.length === 0) return false
      const left = Object.entries(config.auths ?? {}).filter(([key]) => !keys.includes(key))
      write({ ...config, auths: Object.fromEntries(left) })
      return true
    },
    domains: () => Object.keys(read().auths ?? {}).map(domainOf),
  }
}

function keyOf(domain: string): string {
  return domain === 'docker.io' ? HUB_KEY : domain
}

/** Entries were written as URLs by older clients. */
function domainOf(key: string): string {
  const host = key.replace(/^https?:\/\//, '').replace(/\/.*$/, '')
  return host === 'index.docker.io' || host === 'registry-1.docker.io' ? 'docker.io' : host
}

function decode(entry: AuthEntry): Credentials | undefined {
  const text = entry.auth
    ? Buffer.from(entry.auth, 'base64').toString()
    : `${entry.username ?? ''}:${entry.password ?? ''}`
  const colon = text.indexOf(':')
  const username = text.slice(0, Math.max(colon, 0))
  const password = text.slice(colon + 1).replace(/\0+$/, '')
  if (!entry.identitytoken && (colon < 0 || username === '')) return undefined
  return { username, password, identityToken: entry.identitytoken }
}

async function askHelper(helper: string, key: string, env: NodeJS.ProcessEnv): Promise<Credentials | undefined> {
  let answer: string
  try {
    answer = await runHelper(helper, 'get', key, env)
  } catch {
    // "Not found" is said by a failure. A helper that came with a Docker which is gone must not keep anybody from
    // pulling what is public; what is not will be refused with the advice to log in.
    return undefined
  }
  const { Username, Secret } = JSON.parse(answer) as { Username?: string; Secret?: string }
  if (!Secret) return undefined
  if (Username === TOKEN_USER) return { username: '', password: '', identityToken: Secret }
  return { username: Username ?? '', password: Secret }
}

async function runHelper(helper: string, verb: string, input: string, env: NodeJS.ProcessEnv): Promise<string> {
  if (!/^[\w.-]+$/.test(helper))
    throw new TcomposeError('INVALID', `invalid credential helper ${JSON.stringify(helper)}`)
  const result = await run(`docker-credential-${helper}`, [verb], {
    input,
    env: env as Record<string, string>,
    timeoutMs: 60_000,
  })
  return result.stdout
}

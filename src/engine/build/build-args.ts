import { expand } from '../../dockerfile/expand.ts'
import type { Dockerfile } from '../../dockerfile/instructions.ts'
import type { Platform } from '../content/manifest.ts'

const PROXIES: readonly string[] = ['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY', 'ALL_PROXY']

/** `os/arch[/variant]` */
export function formatPlatform(platform: Platform): string {
  return [platform.os, platform.architecture, platform.variant].filter((part) => part).join('/')
}

/** Arguments that every build has, for whoever declares them. */
export function automaticArgs(build: Platform, target: Platform, stageName: string): ReadonlyMap<string, string> {
  return new Map([
    ['BUILDPLATFORM', formatPlatform(build)],
    ['BUILDOS', build.os],
    ['BUILDOSVERSION', ''],
    ['BUILDARCH', build.architecture],
    ['BUILDVARIANT', build.variant ?? ''],
    ['TARGETPLATFORM', formatPlatform(target)],
    ['TARGETOS', target.os],
    ['TARGETOSVERSION', ''],
    ['TARGETARCH', target.architecture],
    ['TARGETVARIANT', target.variant ?? ''],
    ['TARGETSTAGE', stageName || 'default'],
  ])
}

export interface GlobalArgs {
  /** Values usable in FROM, and by `ARG NAME` in stages. */
  readonly values: ReadonlyMap<string, string>
  /** As `values`, with nothing from the command line. */
  readonly defaults: ReadonlyMap<string, string>
  /** Names that were declared before the first FROM, and the automatic ones. */
  readonly declared: ReadonlySet<string>
}

/** Evaluates the ARGs before the first FROM. @throws TcomposeError INVALID */
export function globalArgs(
  file: Dockerfile,
  given: Readonly<Record<string, string>>,
  automatic: ReadonlyMap<string, string>,
): GlobalArgs {
  const values = new Map<string, string>()
  const defaults = new Map<string, string>()
  for (const [key, value] of automatic) {
    values.set(key, given[key] ?? value)
    defaults.set(key, value)
  }
  const declared = new Set(automatic.keys())
  for (const { args } of file.metaArgs) {
    for (const { key, value } of args) {
      declared.add(key)
      // A default that is overridden is not even looked at.
      if (given[key] !== undefined) values.set(key, given[key])
      else if (value !== undefined) {
        values.set(key, expand(value, (name) => values.get(name), { escape: file.escape }).text)
      }
      if (value !== undefined) {
        try {
          defaults.set(key, expand(value, (name) => defaults.get(name), { escape: file.escape }).text)
        } catch {
          defaults.delete(key)
        }
      }
    }
  }
  return { values, defaults, declared }
}

/** Proxy variables that RUN steps have without declaring them, in both spellings. */
export function proxyEnv(given: Readonly<Record<string, string>>): readonly string[] {
  return PROXIES.flatMap((name) => {
    const value = given[name] ?? given[name.toLowerCase()]
    return value === undefined ? [] : [`${name}=${value}`, `${name.toLowerCase()}=${value}`]
  })
}

export function isProxyArg(name: string): boolean {
  return PROXIES.includes(name.toUpperCase())
}

import { TcomposeError } from '../../base/errors.ts'
import { splitWords } from '../../base/words.ts'
import type { ImageRunConfig } from './types.ts'

/** Dockerfile instructions (`--change`, `changes=`), as an image's configuration. @throws TcomposeError INVALID */
export function parseChanges(changes: readonly string[]): ImageRunConfig {
  let config: Record<string, unknown> = {}
  for (const text of changes) {
    const match = /^\s*([A-Za-z]+)\s+(.*)$/s.exec(text)
    if (!match)
      throw new TcomposeError(
        'INVALID',
        `invalid change ${JSON.stringify(text)}: an instruction and its value are expected`,
      )
    config = { ...config, ...change((match[1] as string).toUpperCase(), (match[2] as string).trim(), config) }
  }
  return config as ImageRunConfig
}

function change(instruction: string, value: string, config: Record<string, unknown>): Record<string, unknown> {
  const map = (name: string, entries: readonly (readonly [string, unknown])[]): Record<string, unknown> => ({
    [name]: { ...(config[name] as object | undefined), ...Object.fromEntries(entries) },
  })
  switch (instruction) {
    case 'CMD':
      return { Cmd: command(value) }
    case 'ENTRYPOINT':
      return { Entrypoint: command(value) }
    case 'ENV':
      return {
        Env: [
          ...((config.Env as readonly string[] | undefined) ?? []),
          ...pairs(value).map(([key, one]) => `${key}=${one}`),
        ],
      }
    case 'LABEL':
      return map('Labels', pairs(value))
    case 'EXPOSE':
      return map(
        'ExposedPorts',
        splitWords(value).map((port) => [port.includes('/') ? port : `${port}/tcp`, {}] as const),
      )
    case 'VOLUME':
      return map(
        'Volumes',
        (value.startsWith('[') ? command(value) : splitWords(value)).map((path) => [path, {}] as const),
      )
    case 'USER':
      return { User: value }
    case 'WORKDIR':
      return { WorkingDir: value }
    case 'STOPSIGNAL':
      return { StopSignal: value }
    default:
      throw new TcomposeError('INVALID', `${instruction} is not valid as a change of an image`, {
        hint: 'CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME and WORKDIR are',
      })
  }
}

function command(value: string): readonly string[] {
  if (!value.startsWith('[')) return ['/bin/sh', '-c', value]
  try {
    return JSON.parse(value) as readonly string[]
  } catch (cause) {
    throw new TcomposeError('INVALID', `invalid JSON list ${value}`, { cause })
  }
}

function pairs(value: string): readonly (readonly [string, string])[] {
  const words = splitWords(value)
  const [first = '', second] = words
  // The older form, `ENV key value`.
  if (!first.includes('=') && second !== undefined) return [[first, words.slice(1).join(' ')]]
  return words.map((word) => {
    const at = word.indexOf('=')
    return at < 0 ? ([word, ''] as const) : ([word.slice(0, at), word.slice(at + 1)] as const)
  })
}

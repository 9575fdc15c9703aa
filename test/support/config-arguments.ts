import type { LoadOptions } from '../../src/compose/types.ts'

type Draft = { -readonly [K in keyof LoadOptions]: LoadOptions[K] } & {
  files: string[]
  envFiles: string[]
  profiles: string[]
  services: string[]
}

/** The flags of `tcompose config` that the loader itself answers to. */
export function parseArguments(
  argv: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv,
  stdin: () => Promise<string>,
): { readonly options: LoadOptions; readonly format: 'yaml' | 'json' } {
  const options: Draft = {
    cwd,
    env,
    files: [],
    envFiles: [],
    profiles: [],
    services: [],
    stdin,
  }
  let format: 'yaml' | 'json' = 'yaml'
  const words = argv.flatMap((word) =>
    word.startsWith('--') && word.includes('=')
      ? [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]
      : [word],
  )
  for (let index = 0; index < words.length; index++) {
    const value = (): string => words[++index] ?? ''
    switch (words[index]) {
      case '-f':
      case '--file':
        options.files.push(value())
        break
      case '-p':
      case '--project-name':
        options.projectName = value()
        break
      case '--project-directory':
        options.projectDirectory = value()
        break
      case '--env-file':
        options.envFiles.push(value())
        break
      case '--profile':
        options.profiles.push(value())
        break
      case '--format':
        format = value() === 'json' ? 'json' : 'yaml'
        break
      case '--all-resources':
        options.allResources = true
        break
      case '--no-path-resolution':
        options.noPathResolution = true
        break
      case '--no-consistency':
        options.noConsistency = true
        break
      case '--no-env-resolution':
        options.noEnvResolution = true
        break
      case '--no-interpolate':
        options.noInterpolate = true
        break
      case '--no-normalize':
        options.noNormalize = true
        break
      case 'config':
        break
      default:
        options.services.push(words[index] as string)
    }
  }
  return { options, format }
}

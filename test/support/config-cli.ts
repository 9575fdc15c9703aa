// A stand-in for `tcompose config` that needs nothing but the loader, for test/conformance/compose.

import { isTcomposeError } from '../../src/base/errors.ts'
import { loadProject } from '../../src/compose/load.ts'
import { formatProject } from '../../src/compose/output.ts'
import type { LoadOptions } from '../../src/compose/types.ts'
import { errorLines } from './error-lines.ts'

type Draft = { -readonly [K in keyof LoadOptions]: LoadOptions[K] } & {
  files: string[]
  envFiles: string[]
  profiles: string[]
  services: string[]
}

async function main(argv: readonly string[]): Promise<void> {
  const options: Draft = {
    cwd: process.cwd(),
    env: process.env,
    files: [],
    envFiles: [],
    profiles: [],
    services: [],
    stdin: readStdin,
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
  const { project, warnings } = await loadProject(options)
  for (const warning of warnings) process.stderr.write(`warning: ${warning.message}\n`)
  process.stdout.write(`${formatProject(project, { format })}\n`)
}

async function readStdin(): Promise<string> {
  let text = ''
  for await (const chunk of process.stdin) text += String(chunk)
  return text
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  if (!isTcomposeError(error)) throw error
  process.stderr.write(`${errorLines(error).join('\n')}\n`)
  process.exitCode = 1
}

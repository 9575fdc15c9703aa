// A stand-in for `tcompose config` that needs nothing but the loader, for test/conformance/compose.

import { isTcomposeError } from '../../src/base/errors.ts'
import { loadProject } from '../../src/compose/load.ts'
import { formatProject } from '../../src/compose/output.ts'
import { parseArguments } from './config-arguments.ts'
import { errorLines } from './error-lines.ts'

async function main(argv: readonly string[]): Promise<void> {
  const { options, format } = parseArguments(argv, process.cwd(), process.env, readStdin)
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

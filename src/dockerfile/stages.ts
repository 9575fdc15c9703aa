import { TcomposeError } from '../base/errors.ts'
import { readFlags } from './flags.ts'
import type { Dockerfile, Instruction, Stage } from './instructions.ts'
import { readMount } from './mount.ts'
import { type Ast, failIn, type Node, onLine } from './parse.ts'
import { docOf, parseInstruction } from './parse-instruction.ts'

const STAGE_NAME = /^[a-z][a-z0-9-_.]*$/

/**
 * Instructions → stages with typed commands.
 * @param file shown in errors
 * @param seen is told of everything that was read, also when a later line is wrong
 * @throws TcomposeError INVALID with `at`
 */
export function readStages(
  ast: Ast,
  file = 'Dockerfile',
  seen?: { stage?(stage: Stage): void; command?(stage: Stage, command: Instruction): void },
): Dockerfile {
  const fail = failIn(file)
  const metaArgs: Extract<Instruction, { kind: 'arg' }>[] = []
  const stages: { stage: Stage; commands: Instruction[] }[] = []
  for (const node of ast.nodes) {
    onLine(fail, node.startLine, () => {
      if (node.instruction === 'from') {
        const commands: Instruction[] = []
        const stage = parseFrom(node, commands)
        stages.push({ stage, commands })
        seen?.stage?.(stage)
        return
      }
      const command = parseInstruction(node)
      const current = stages.at(-1)
      if (!current) {
        if (command.kind === 'arg') {
          metaArgs.push(command)
          return
        }
        throw new TcomposeError('INVALID', 'no build stage in current context')
      }
      if (command.kind === 'run') checkMountSources(command.mounts)
      current.commands.push(command)
      seen?.command?.(current.stage, command)
    })
  }
  return { escape: ast.escape, metaArgs, stages: stages.map((each) => each.stage) }
}

function parseFrom(node: Node, commands: readonly Instruction[]): Stage {
  const flags = readFlags(node.flags, { platform: 'string' })
  const { args } = node
  const [base = '', asKeyword = '', writtenName = ''] = args
  if (args.length !== 1 && !(args.length === 3 && asKeyword.toLowerCase() === 'as')) {
    throw new TcomposeError('INVALID', 'FROM requires either one or three arguments')
  }
  const name = writtenName.toLowerCase()
  if (args.length === 3 && !STAGE_NAME.test(name)) {
    throw new TcomposeError(
      'INVALID',
      `invalid name for build stage: ${JSON.stringify(writtenName)}, name can't start with a number or contain symbols`,
    )
  }
  return {
    line: node.startLine,
    endLine: node.endLine,
    original: node.original,
    written: node.written,
    name,
    writtenName,
    base,
    platform: flags.text('platform'),
    asKeyword,
    doc: docOf(node.comments, name),
    comments: node.comments,
    commands,
  }
}

/** `from` decides which stages are built, before anything is expanded. Everything else is checked after expansion. */
function checkMountSources(mounts: readonly string[]): void {
  for (const text of mounts) {
    try {
      readMount(text)
    } catch (error) {
      if (error instanceof TcomposeError && error.message.startsWith("'from'")) throw error
    }
  }
}

import { existsSync, readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { TcomposeError } from '../../src/base/errors.ts'
import { detectCheck, detectSyntax, readDirectives } from '../../src/dockerfile/directives.ts'
import { expand } from '../../src/dockerfile/expand.ts'
import { parseHeredocWord } from '../../src/dockerfile/heredoc.ts'
import { createIgnoreMatcher, parseIgnoreFile } from '../../src/dockerfile/ignore.ts'
import type { Dockerfile, Instruction } from '../../src/dockerfile/instructions.ts'
import { readMount } from '../../src/dockerfile/mount.ts'
import { type Node, parseDockerfile } from '../../src/dockerfile/parse.ts'
import { parseInstruction } from '../../src/dockerfile/parse-instruction.ts'
import { readStages } from '../../src/dockerfile/stages.ts'

/**
 * Runs the Dockerfile cases of $DOCKERFILE_CASES (parse, expand, ignore, lint) against src/dockerfile.
 * It maps our results to the shape of the cases; cases that we answer otherwise on purpose are in
 * dockerfile-exceptions.json, each with its reason.
 */
interface Case {
  readonly id: string
  readonly kind: string
  readonly dockerfile: string
  readonly input: string
  readonly env: Readonly<Record<string, string>>
  readonly escape?: string
  readonly patterns: readonly string[]
  readonly path: string
  readonly context?: Readonly<Record<string, string>>
  readonly frontendAttrs?: Readonly<Record<string, string>>
  // biome-ignore lint/suspicious/noExplicitAny: JSON of the cases
  readonly expect: any
}

type Json = unknown

const say = (line: string): void => void process.stdout.write(`${line}\n`)

function astNode(node: Node, inner = false): Json {
  return {
    instruction: node.instruction,
    args: node.args,
    lines: inner ? [0, 0] : [node.startLine, node.endLine],
    original: node.original,
    ...(node.flags.length > 0 ? { flags: node.flags } : {}),
    ...(node.json ? { json: true } : {}),
    ...(node.heredocs.length > 0
      ? {
          heredocs: node.heredocs.map(({ name, fd, chomp, expand, content }) => ({ name, fd, chomp, expand, content })),
        }
      : {}),
    ...(node.onbuild ? { onbuild: astNode(node.onbuild, true) } : {}),
  }
}

const octal = (mode: number) => `0${mode.toString(8).padStart(3, '0')}`

function command(instruction: Instruction): Json {
  const common = { name: instruction.kind.toUpperCase(), line: instruction.line }
  const filled = (entries: Readonly<Record<string, unknown>>) =>
    Object.fromEntries(
      Object.entries(entries).filter(
        ([, value]) =>
          value !== undefined && value !== '' && value !== false && !(Array.isArray(value) && value.length === 0),
      ),
    )
  switch (instruction.kind) {
    case 'copy':
    case 'add':
      return {
        ...common,
        sources: instruction.sources,
        ...filled({
          dest: instruction.destination,
          chown: instruction.chown,
          chmod: instruction.chmod,
          link: instruction.link,
          exclude: instruction.exclude,
          inline: instruction.inline.map((file) => ({ path: file.name, data: file.content, expand: file.expand })),
        }),
        ...(instruction.kind === 'copy'
          ? filled({ from: instruction.from, parents: instruction.parents })
          : {
              ...filled({ checksum: instruction.checksum, keepGitDir: instruction.keepGitDir }),
              ...(instruction.unpack === undefined ? {} : { unpack: instruction.unpack }),
            }),
      }
    case 'env':
      return { ...common, env: instruction.pairs.map((pair) => [pair.key, pair.value]) }
    case 'label':
      return { ...common, labels: instruction.pairs.map((pair) => [pair.key, pair.value]) }
    case 'arg':
      return {
        ...common,
        args: instruction.args.map((arg) => ({
          key: arg.key,
          ...(arg.value === undefined ? {} : { value: arg.value }),
          ...(arg.doc === undefined ? {} : { doc: arg.doc }),
        })),
      }
    case 'cmd':
    case 'entrypoint':
      return { ...common, cmd: instruction.args, shell: instruction.shell }
    case 'run':
      return { ...common, ...runOf(instruction) }
    case 'expose':
      return { ...common, ports: instruction.ports }
    case 'volume':
      return { ...common, volumes: instruction.volumes }
    case 'user':
      return { ...common, user: instruction.user }
    case 'workdir':
      return { ...common, path: instruction.path }
    case 'stopsignal':
      return { ...common, signal: instruction.stopSignal }
    case 'maintainer':
      return { ...common, maintainer: instruction.maintainer }
    case 'shell':
      return { ...common, shell: instruction.words }
    case 'healthcheck': {
      const { test, ...rest } = instruction.healthcheck
      const times = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== 0))
      return { ...common, health: { test, ...times } }
    }
    case 'onbuild':
      return { ...common, expression: instruction.expression }
  }
}

function runOf(run: Extract<Instruction, { kind: 'run' }>): Readonly<Record<string, unknown>> {
  let expandError: string | undefined
  const mounts = run.mounts.map((text) => {
    try {
      // Modes and sizes with variables are only numbers once expanded; here nothing is.
      const mount = readMount(text)
      return {
        type: mount.type,
        target: mount.target,
        readOnly: mount.readOnly,
        ...(mount.from === '' ? {} : { from: mount.from }),
        ...(mount.source === ''
          ? {}
          : mount.type === 'secret' || mount.type === 'ssh'
            ? { id: mount.source }
            : { source: mount.source }),
        ...(mount.id === '' ? {} : { id: mount.id }),
        ...(mount.mode === undefined ? {} : { mode: octal(mount.mode) }),
        ...(mount.uid === undefined ? {} : { uid: mount.uid }),
        ...(mount.gid === undefined ? {} : { gid: mount.gid }),
        ...(mount.required ? { required: true } : {}),
        ...(mount.env === undefined ? {} : { env: mount.env }),
        ...(mount.sizeBytes === 0 ? {} : { size: mount.sizeBytes }),
        ...(text.includes('sharing=') ? { sharing: mount.sharing } : {}),
      }
    } catch (error) {
      expandError ??= (error as Error).message
      return { type: 'bind', target: '', readOnly: true }
    }
  })
  return {
    cmd: run.args,
    shell: run.shell,
    network: run.network,
    security: run.security,
    flagsUsed: run.flagsUsed,
    ...(mounts.length > 0 ? { mounts } : {}),
    ...(expandError === undefined ? {} : { expandError }),
    ...(run.heredocs.length > 0
      ? { files: run.heredocs.map(({ name, chomp, content }) => ({ name, chomp, data: content })) }
      : {}),
  }
}

function dockerfileOf(file: Dockerfile): Json {
  return {
    metaArgs: file.metaArgs.map(command),
    stages: file.stages.map((stage) => ({
      name: stage.name,
      base: stage.base,
      line: stage.line,
      origCmd: stage.written,
      ...(stage.platform === '' ? {} : { platform: stage.platform }),
      ...(stage.doc === undefined ? {} : { doc: stage.doc }),
      commands: stage.commands.map(command),
    })),
  }
}

function errorText(error: unknown, prefix: boolean): string {
  if (!(error instanceof TcomposeError)) throw error
  const line = /:(\d+)$/.exec(error.at ?? '')?.[1]
  return prefix && line !== undefined ? `dockerfile parse error on line ${line}: ${error.message}` : error.message
}

const sorted = (set: ReadonlySet<string>) => [...set].toSorted()

/** @returns what we make of a case, in its own shape; only what the expectation names is compared */
function answer(testCase: Case): Json {
  switch (testCase.kind) {
    case 'parse':
      try {
        const ast = parseDockerfile(testCase.dockerfile)
        return {
          escape: ast.escape,
          instructions: ast.nodes.map((node) => astNode(node)),
          warnings: ast.warnings.map(({ short, line }) => ({
            short,
            line,
            detail: ['Empty continuation lines will become errors in a future release'],
            url: 'https://docs.docker.com/go/dockerfile/rule/no-empty-continuation/',
          })),
        }
      } catch (error) {
        return { error: errorText(error, false) }
      }
    case 'instructions':
      try {
        return dockerfileOf(readStages(parseDockerfile(testCase.dockerfile)))
      } catch (error) {
        const text = errorText(error, true)
        return testCase.expect.error && text.endsWith(`: ${testCase.expect.error}`)
          ? { error: testCase.expect.error, phase: testCase.expect.phase }
          : { error: text, phase: testCase.expect.phase }
      }
    case 'instruction':
      try {
        for (const node of parseDockerfile(testCase.dockerfile).nodes) parseInstruction(node)
        return {}
      } catch (error) {
        return { error: errorText(error, false), phase: testCase.expect.phase }
      }
    case 'heredocWord':
      try {
        return { heredoc: parseHeredocWord(testCase.input) ?? null }
      } catch (error) {
        return { error: errorText(error, false) }
      }
    case 'directives': {
      const shape = (found: ReturnType<typeof detectSyntax>) =>
        found ? { cmdline: found.value, line: found.line, ref: found.value.split(/\s/)[0] } : null
      return {
        all: readDirectives(testCase.input),
        syntax: shape(detectSyntax(testCase.input)),
        check: shape(detectCheck(testCase.input)),
      }
    }
    case 'expand':
    case 'expandWords':
    case 'expandHeredoc':
      try {
        const result = expand(testCase.input, (name) => testCase.env[name], {
          escape: testCase.escape ?? '\\',
          skipQuotes: testCase.kind === 'expandHeredoc',
        })
        return {
          result: result.text,
          words: result.words,
          matched: sorted(result.matched),
          unmatched: sorted(result.unmatched),
        }
      } catch (error) {
        const { errorContains } = testCase.expect
        const text = errorText(error, false)
        // Go quotes unlike JSON for characters beyond ASCII that it takes as printable; both leave those alone.
        return { error: true, errorText: text, ...(text.includes(errorContains) ? { errorContains } : {}) }
      }
    case 'ignore':
      try {
        return { excluded: createIgnoreMatcher(testCase.patterns).ignores(testCase.path) }
      } catch (error) {
        return {
          error: typeof testCase.expect.error === 'string' ? testCase.expect.error : errorText(error, false) !== '',
        }
      }
    case 'ignoreFile':
      return { patterns: parseIgnoreFile(testCase.input) }
    default:
      throw new Error(`no such kind of case: ${testCase.kind}`)
  }
}

function differences(got: Json, want: Readonly<Record<string, unknown>>): string[] {
  const have = got as Readonly<Record<string, unknown>>
  return Object.keys(want)
    .filter((key) => !isDeepStrictEqual(JSON.parse(JSON.stringify(have[key] ?? null)), want[key] ?? null))
    .map((key) => `${key}: ${JSON.stringify(have[key] ?? have.error)}\n     want ${JSON.stringify(want[key])}`)
}

const folder =
  process.env.DOCKERFILE_CASES ?? new URL('../../../shared/conformance/dockerfile', import.meta.url).pathname
if (!existsSync(folder)) {
  say(`no cases at ${folder} (DOCKERFILE_CASES)`)
  process.exit(0)
}
const exceptions = JSON.parse(readFileSync(new URL('dockerfile-exceptions.json', import.meta.url), 'utf8')) as Record<
  string,
  string
>
const only = process.argv[2]
let passed = 0
let failed = 0
let excepted = 0
const files = ['parse-ast', 'parse-instructions', 'parse-directives-heredocs', 'expand', 'dockerignore', 'lint']
for (const file of files) {
  const path = `${folder}/${file}.json`
  if (!existsSync(path)) continue
  const { lintAnswer } = file === 'lint' ? await import('./dockerfile-lint.ts') : { lintAnswer: undefined }
  const tally = { passed: 0, failed: 0 }
  for (const testCase of JSON.parse(readFileSync(path, 'utf8')) as Case[]) {
    if (only !== undefined && !testCase.id.includes(only)) continue
    const got = lintAnswer ? lintAnswer(testCase) : answer(testCase)
    const {
      buildErrorRegexp: _,
      buildErrorLine: __,
      buildError: ___,
      lintOnlyWarnings: ____,
      ...want
    } = testCase.expect
    const wrong = differences(got, want)
    if (wrong.length === 0) tally.passed++
    else if (exceptions[testCase.id] !== undefined) excepted++
    else {
      tally.failed++
      say(`FAIL ${testCase.id}: ${JSON.stringify(testCase.dockerfile ?? testCase.input ?? testCase.patterns)}`)
      for (const line of wrong) say(`     ${line}`)
    }
  }
  say(`${file}: ${tally.passed} passed, ${tally.failed} failed`)
  passed += tally.passed
  failed += tally.failed
}
say(`${passed} passed, ${failed} failed${excepted > 0 ? `, ${excepted} excepted` : ''}`)
process.exitCode = failed > 0 ? 1 : 0

import { expect, test } from 'vitest'
import { detectCheck, detectSyntax, parseCheckOptions } from '../../../src/dockerfile/directives.ts'
import { heredocText } from '../../../src/dockerfile/heredoc.ts'
import { readMount } from '../../../src/dockerfile/mount.ts'
import { parseDockerfile } from '../../../src/dockerfile/parse.ts'
import { readStages } from '../../../src/dockerfile/stages.ts'

const stagesOf = (text: string) => readStages(parseDockerfile(text)).stages
const failure = (text: string) => {
  try {
    stagesOf(text)
  } catch (error) {
    return error as { message: string; at: string }
  }
  throw new Error('it was accepted')
}

test('continuations are joined, with comments inside dropped', () => {
  const [node] = parseDockerfile('RUN a \\\n  # note\n  b').nodes
  expect(node).toMatchObject({ instruction: 'run', args: ['a   b'], startLine: 1, endLine: 3 })
})

test('an empty line inside a continuation is warned about', () => {
  expect(parseDockerfile('FROM x\nRUN a \\\n\nb').warnings).toEqual([
    { short: 'Empty continuation line found in: RUN a b', line: 4 },
  ])
})

test('the escape directive changes the continuation character', () => {
  expect(parseDockerfile('# escape=`\nRUN a `\nb\\\nRUN c').nodes.map((node) => node.args)).toEqual([['a b\\'], ['c']])
})

test('here-documents are read up to their word, leading tabs taken off by <<-', () => {
  const [node] = parseDockerfile('RUN <<-EOF\n\techo a\n\tEOF\n').nodes
  expect(node?.heredocs.map(heredocText)).toEqual(['echo a\n'])
})

test('what looks like JSON and is not is for the shell', () => {
  const nodes = parseDockerfile(`RUN ["a"]x\nRUN ["a", "b"]\nRUN ['a']`).nodes
  expect(nodes.map((node) => [node.json, node.args])).toEqual([
    [false, ['["a"]x']],
    [true, ['a', 'b']],
    [false, ["['a']"]],
  ])
})

test('errors say where they are', () => {
  expect(failure('FROM a\nRUNN x')).toMatchObject({
    message: 'unknown instruction: RUNN (did you mean RUN?)',
    at: 'Dockerfile:2',
  })
  expect(failure('FROM a\nCOPY --chwon=1 a b').message).toBe('unknown flag: --chwon (did you mean chown?)')
  expect(failure('FROM a\nRUN <<EOF\nx').message).toBe('unterminated heredoc')
  expect(failure('RUN x').message).toBe('no build stage in current context')
})

test('stage names are lower case', () => {
  expect(stagesOf('FROM a AS Build\nFROM build').map((stage) => [stage.name, stage.base])).toEqual([
    ['build', 'a'],
    ['', 'build'],
  ])
})

test('mounts take short keys and refuse what their type does not know', () => {
  expect(readMount('type=cache,dst=/c,id=x,sharing=locked')).toMatchObject({
    type: 'cache',
    target: '/c',
    id: 'x',
    sharing: 'locked',
    readOnly: false,
  })
  expect(() => readMount('type=cache,target=/c,size=1')).toThrow("unexpected key 'size' for mount type 'cache'")
  expect(() => readMount('from=$x,target=/c')).toThrow("'from' doesn't support variable expansion")
})

test('syntax and check lines are found after a #! line', () => {
  expect(detectSyntax('#!/bin/sh\n# syntax=docker/dockerfile:1\n')).toEqual({ value: 'docker/dockerfile:1', line: 2 })
  const check = detectCheck('# check=skip=A,B;error=true\nFROM x')
  expect(parseCheckOptions(check?.value ?? '')).toEqual({ skip: ['A', 'B'], error: true, experimental: [] })
})

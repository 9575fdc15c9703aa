import { describe, expect, test } from 'vitest'
import { parseGlobals } from '../../../src/cli/globals.ts'

describe('flags before the verb', () => {
  test('values may stand apart, after = or glued to the short form', () => {
    const { globals, verb, rest } = parseGlobals(
      ['-f', 'a.yaml', '--file=b.yaml', '-fc.yaml', '-p=app', '--profile', 'x', 'up', '-d', '-f', 'z'],
      {},
    )
    expect(globals.files).toEqual(['a.yaml', 'b.yaml', 'c.yaml'])
    expect(globals.projectName).toBe('app')
    expect(globals.profiles).toEqual(['x'])
    expect(verb).toBe('up')
    expect(rest).toEqual(['-d', '-f', 'z'])
  })
  test('switches take =true and =false', () => {
    expect(parseGlobals(['--dry-run=false', 'up'], {}).globals.dryRun).toBe(false)
    expect(parseGlobals(['--dry-run', 'up'], {}).globals.dryRun).toBe(true)
  })
  test('flags win over variables', () => {
    const env = { COMPOSE_ANSI: 'never', COMPOSE_PROGRESS: 'json', COMPOSE_PARALLEL_LIMIT: '3' }
    expect(parseGlobals(['up'], env).globals).toMatchObject({ ansi: 'never', progress: 'json', parallel: 3 })
    expect(parseGlobals(['--ansi=always', '--progress', 'plain', '--parallel=5', 'up'], env).globals).toMatchObject({
      ansi: 'always',
      progress: 'plain',
      parallel: 5,
    })
  })
  test('an unknown flag is answered with the nearest', () => {
    expect(() => parseGlobals(['--profiel', 'x', 'up'], {})).toThrowError(
      expect.objectContaining({ message: 'unknown flag: --profiel', hint: 'did you mean --profile?' }),
    )
  })
  test('an unknown short flag names the word it stands in', () => {
    expect(() => parseGlobals(['-qx', 'up'], {})).toThrow("unknown shorthand flag: 'q' in -qx")
  })
  test('a flag without its value is an error', () => {
    expect(() => parseGlobals(['-f'], {})).toThrow('flag needs an argument: -f')
  })
  test('a bad choice names what is possible', () => {
    expect(() => parseGlobals(['--progress', 'loud', 'up'], {})).toThrow('invalid value for --progress: "loud"')
  })
})

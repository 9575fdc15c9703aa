import { Command } from 'commander'
import { expect, test } from 'vitest'
import { onByDefault } from '../../../src/cli/options.ts'
import { normalizeFlags } from '../../../src/cli/run-verb.ts'

function command(): Command {
  const one = new Command('x')
    .argument('[words...]')
    .option('-d, --detach')
    .option('--menu')
    .option('--no-menu')
    .option('--no-deps')
    .option('-u, --user <user>')
  return onByDefault(one, '--sig-proxy', '')
}

test('switches take =true and =false as in pflag', () => {
  expect(normalizeFlags(['--detach=true', '--menu=false', '--sig-proxy=false'], command())).toEqual([
    '--detach',
    '--no-menu',
    '--no-sig-proxy',
  ])
})

test('--no-x=false is as if it were not there', () => {
  expect(normalizeFlags(['--no-deps=false', '--detach=0'], command())).toEqual([])
})

test('a bad truth value is an error', () => {
  expect(() => normalizeFlags(['--detach=maybe'], command())).toThrow('invalid argument "maybe" for --detach')
})

test('what follows the first word is left alone where the verb passes it on', () => {
  const one = command().passThroughOptions()
  expect(normalizeFlags(['-u', 'root', 'web', '--menu=false'], one)).toEqual(['-u', 'root', 'web', '--menu=false'])
})

test('words of others are looked through', () => {
  expect(normalizeFlags(['web', '--menu=false'], command())).toEqual(['web', '--no-menu'])
})

test('what follows -- is left alone', () => {
  expect(normalizeFlags(['--', '--menu=false'], command())).toEqual(['--', '--menu=false'])
})

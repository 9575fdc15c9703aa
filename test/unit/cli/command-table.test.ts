import { Command } from 'commander'
import { describe, expect, test } from 'vitest'
import { GLOBAL_FLAGS } from '../../../src/cli/globals.ts'
import type { Session } from '../../../src/cli/session.ts'
import { findVerb } from '../../../src/cli/verbs.ts'
import { COMPOSE_FLAGS } from './compose-flags.ts'

/** Flags that are understood and refused, with the reason; the refusal itself is tested where it is made. */
const REFUSED: Readonly<Record<string, string>> = {
  'build --memory': 'build steps have no limit of their own',
  'publish *': 'projects as OCI artifacts cannot be written yet',
}

const session = {} as Session

describe('every flag of docker compose is known', () => {
  for (const [name, flags] of Object.entries(COMPOSE_FLAGS)) {
    if (name === '') continue
    test(name, async () => {
      const verb = findVerb(name)
      if (!verb) throw new Error(`no verb ${name}`)
      const command = new Command(name)
      ;(await verb.load()).configure(command, session)
      const known = command.options.flatMap((option) => [option.long, ...(option.short ? [option.short] : [])])
      const missing = flags.flatMap((flag) => flag.split('/')).filter((flag) => !known.includes(flag))
      expect(missing).toEqual([])
    })
  }
  test('global flags', () => {
    const known = GLOBAL_FLAGS.flatMap((flag) => [flag.long, ...(flag.short ? [flag.short] : [])])
    const missing = (COMPOSE_FLAGS[''] ?? []).flatMap((flag) => flag.split('/')).filter((flag) => !known.includes(flag))
    expect(missing).toEqual([])
  })
})

test('what is refused says why', () => {
  expect(Object.values(REFUSED).every((reason) => reason.length > 0)).toBe(true)
})

test.each(['alpha', 'bridge'])('%s is refused by name', async (name) => {
  const command = new Command(name).exitOverride()
  ;(await (findVerb(name) as NonNullable<ReturnType<typeof findVerb>>).load()).configure(command, session)
  await expect(command.parseAsync(['x'], { from: 'user' })).rejects.toThrow('is not supported')
})

import { describe, expect, test } from 'vitest'
import type { Image } from '../../../src/engine/images/types.ts'
import { decideImage, refreshInterval } from '../../../src/project/image-policy.ts'

const HOUR = 3600_000
const NOW = Date.parse('2026-06-02T00:00:00Z')
const present = { taggedAt: '2026-06-01T00:00:00Z' } as Image

function decide(service: Parameters<typeof decideImage>[1], image: Image | undefined, options = {}) {
  return decideImage('web', service, image, { nowMs: NOW, ...options }).kind
}

describe('an image alone', () => {
  test.each([
    [undefined, 'use', 'pull'],
    ['missing', 'use', 'pull'],
    ['if_not_present', 'use', 'pull'],
    ['always', 'pull', 'pull'],
    ['never', 'use', 'missing'],
    ['daily', 'pull', 'pull'],
    ['weekly', 'use', 'pull'],
    ['every_12h', 'pull', 'pull'],
  ])('pull_policy %s', (policy, whenPresent, whenAbsent) => {
    const service = { image: 'x', ...(policy === undefined ? {} : { pull_policy: policy }) }
    expect(decide(service, present)).toBe(whenPresent)
    expect(decide(service, undefined)).toBe(whenAbsent)
  })
  test('--pull wins over pull_policy, and --pull policy leaves it to the service', () => {
    expect(decide({ image: 'x', pull_policy: 'always' }, present, { pull: 'never' })).toBe('use')
    expect(decide({ image: 'x', pull_policy: 'always' }, present, { pull: 'policy' })).toBe('pull')
  })
})

describe('a build', () => {
  const build = { build: { context: '/src' } }
  test('without an image name it is built when it is missing', () => {
    expect(decide(build, undefined)).toBe('build')
    expect(decide(build, present)).toBe('use')
  })
  test('with an image name the registry is tried first', () => {
    expect(decide({ ...build, image: 'x' }, undefined)).toBe('pullOrBuild')
    expect(decide({ ...build, image: 'x' }, present)).toBe('use')
  })
  test('--build and pull_policy: build always build', () => {
    expect(decide(build, present, { build: true })).toBe('build')
    expect(decide({ ...build, image: 'x', pull_policy: 'build' }, present)).toBe('build')
  })
  test('--no-build never builds', () => {
    expect(decide(build, undefined, { noBuild: true })).toBe('missing')
    expect(decide({ ...build, image: 'x' }, undefined, { noBuild: true })).toBe('pull')
  })
})

describe('refresh', () => {
  test('intervals', () => {
    expect(refreshInterval('daily')).toBe(24 * HOUR)
    expect(refreshInterval('every_90m')).toBe(1.5 * HOUR)
  })
  test('an unknown policy is an error', () => {
    expect(() => refreshInterval('often')).toThrow('invalid pull_policy "often"')
  })
})

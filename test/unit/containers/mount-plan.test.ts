import { expect, test } from 'vitest'
import { planMounts } from '../../../src/engine/containers/mount-plan.ts'

test('a VOLUME of the image becomes an anonymous volume, unless a mount is there', () => {
  const planned = planMounts([{ kind: 'tmpfs', target: '/cache/' }], ['/data', '/cache', 'rel', '/data'], '/srv')
  expect(planned).toEqual([
    { kind: 'tmpfs', target: '/cache' },
    { kind: 'volume', target: '/data', fromImage: true },
    { kind: 'volume', target: '/srv/rel', fromImage: true },
  ])
})

test('what cannot be mounted is refused in the words of Docker', () => {
  const bind = (source: string, target: string) => planMounts([{ kind: 'bind', source, target }], [], '/')
  expect(() => bind('/s', 'relative')).toThrow("invalid mount path: 'relative' mount path must be absolute")
  expect(() => bind('/s', '/')).toThrow("destination can't be '/'")
  expect(() => bind('s', '/t')).toThrow("invalid mount path: 's' mount path must be absolute")
  const twice = [
    { kind: 'tmpfs', target: '/t' },
    { kind: 'tmpfs', target: '/t/' },
  ] as const
  expect(() => planMounts(twice, [], '/')).toThrow('Duplicate mount point: /t')
})

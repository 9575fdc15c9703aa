import { expect, test } from 'vitest'
import { parseMount, parsePorts } from '../../../src/project/short-syntax.ts'

test('ports of run -p', () => {
  const tcp = { protocol: 'tcp', hostIp: '' }
  expect(parsePorts('80')).toEqual([{ containerPort: 80, hostPort: 0, ...tcp }])
  expect(parsePorts('8080:80')).toEqual([{ containerPort: 80, hostPort: 8080, ...tcp }])
  expect(parsePorts('127.0.0.1:8080:80/udp')).toEqual([
    { containerPort: 80, hostPort: 8080, protocol: 'udp', hostIp: '127.0.0.1' },
  ])
  expect(parsePorts('[::1]::80')).toEqual([{ containerPort: 80, hostPort: 0, protocol: 'tcp', hostIp: '::1' }])
  expect(parsePorts('8000-8001:80-81')).toEqual([
    { containerPort: 80, hostPort: 8000, ...tcp },
    { containerPort: 81, hostPort: 8001, ...tcp },
  ])
  expect(parsePorts('8000-8009:80')).toEqual([{ containerPort: 80, hostPort: 8000, hostPortEnd: 8009, ...tcp }])
})

test.each(['x', '80:', '8000-8002:80-81', '99999', '1:2:3:4'])('%s is no port', (text) => {
  expect(() => parsePorts(text)).toThrow('invalid port specification')
})

test('mounts of run -v', () => {
  expect(parseMount('/data', '/cwd')).toEqual({ kind: 'volume', target: '/data' })
  expect(parseMount('cache:/data:ro', '/cwd')).toEqual({
    kind: 'volume',
    source: 'cache',
    target: '/data',
    readOnly: true,
    nocopy: false,
  })
  expect(parseMount('./src:/app', '/cwd')).toEqual({
    kind: 'bind',
    source: '/cwd/src',
    target: '/app',
    readOnly: false,
    createHostPath: true,
  })
})

test.each(['data', 'a:b', ':/x', 'a:/b:ro:z'])('%s is no mount', (text) => {
  expect(() => parseMount(text, '/cwd')).toThrow('invalid volume specification')
})

import { expect, test } from 'vitest'
import type { ContainerConfig } from '../../../src/engine/containers/types.ts'
import { committedConfig } from '../../../src/engine/images/commit.ts'

const config: ContainerConfig = {
  user: 'app',
  env: ['PATH=/bin', 'A=1'],
  entrypoint: ['/entry'],
  command: ['run'],
  workingDir: '/srv',
  stopSignal: 'SIGTERM',
  stopTimeoutSeconds: 10,
  healthcheck: undefined,
  exposedPorts: ['80/tcp'],
  volumes: ['/data'],
  hostname: 'h',
  domainname: '',
  image: 'x',
}

function commit(options: Parameters<typeof committedConfig>[2]) {
  const spec = { stopSignal: 'SIGINT' } as Parameters<typeof committedConfig>[0]['spec']
  return committedConfig(
    { config, labels: { own: '1' }, spec },
    { Labels: { base: '0' }, Shell: ['/bin/bash'] },
    options,
  )
}

test('a container configuration becomes the image configuration over that of its image', () => {
  expect(commit({ changes: [] })).toEqual({
    User: 'app',
    Env: ['PATH=/bin', 'A=1'],
    Entrypoint: ['/entry'],
    Cmd: ['run'],
    WorkingDir: '/srv',
    StopSignal: 'SIGINT',
    Shell: ['/bin/bash'],
    ExposedPorts: { '80/tcp': {} },
    Volumes: { '/data': {} },
    Labels: { base: '0', own: '1' },
  })
})

test('what is given wins over it, changes win over both, and maps and variables are merged', () => {
  const made = commit({
    config: {
      User: 'given',
      Cmd: ['given'],
      Env: ['A=2', 'B=2'],
      Labels: { own: '2' },
      ExposedPorts: { '81/tcp': {} },
    },
    changes: ['CMD ["changed"]', 'ENV B=3', 'EXPOSE 82/udp', 'LABEL more=3'],
  })
  expect(made).toMatchObject({
    User: 'given',
    Cmd: ['changed'],
    Env: ['PATH=/bin', 'A=2', 'B=3'],
    Labels: { base: '0', own: '2', more: '3' },
    ExposedPorts: { '80/tcp': {}, '81/tcp': {}, '82/udp': {} },
  })
})

import { expect, test } from 'vitest'
import { parseDockerfile } from '../../../src/dockerfile/parse.ts'
import { readStages } from '../../../src/dockerfile/stages.ts'
import { applyMetadata, exposedPorts, type StageState, withEnv } from '../../../src/engine/build/stage-state.ts'

const start: StageState = {
  layers: [],
  config: { Env: ['PATH=/bin'], Cmd: ['inherited'] },
  author: undefined,
  history: [],
  args: new Map([['version', '2']]),
  commandSet: false,
}

function after(text: string): StageState {
  const [stage] = readStages(parseDockerfile(`FROM x\n${text}`)).stages
  return (stage?.commands ?? []).reduce((state, command) => {
    if (command.kind === 'run' || command.kind === 'copy' || command.kind === 'add') return state
    if (command.kind === 'workdir' || command.kind === 'arg') return state
    return applyMetadata(state, command, '\\').state
  }, start)
}

test('one ENV sees only what was before it, and keeps the place of what it replaces', () => {
  expect(after('ENV a=1\nENV a=2 b=$a PATH=$PATH:/x').config.Env).toEqual(['PATH=/bin:/x', 'a=2', 'b=1'])
})

test('arguments are known where the environment has no such name', () => {
  expect(after('LABEL v=$version').config.Labels).toEqual({ v: '2' })
  expect(after('ENV version=3\nLABEL v=$version').config.Labels).toEqual({ v: '3' })
})

test('ENTRYPOINT clears an inherited CMD, not one of this file', () => {
  expect(after('ENTRYPOINT ["a"]').config).not.toHaveProperty('Cmd')
  expect(after('CMD ["b"]\nENTRYPOINT ["a"]').config.Cmd).toEqual(['b'])
})

test('the shell form runs in the shell of the moment', () => {
  expect(after('SHELL ["/bin/bash", "-c"]\nCMD ls -l').config.Cmd).toEqual(['/bin/bash', '-c', 'ls -l'])
})

test('ports may be ranges', () => {
  expect(exposedPorts('80')).toEqual(['80/tcp'])
  expect(exposedPorts('8000-8001/UDP')).toEqual(['8000/udp', '8001/udp'])
  expect(() => exposedPorts('x')).toThrow('invalid containerPort: x')
})

test('stop signals are checked', () => {
  expect(after('STOPSIGNAL SIGQUIT').config.StopSignal).toBe('SIGQUIT')
  expect(() => after('STOPSIGNAL SIGNONE')).toThrow('invalid stop signal: SIGNONE')
})

test('a variable is set in its place or at the end', () => {
  expect(withEnv(['a=1', 'b=2'], 'a', '3')).toEqual(['a=3', 'b=2'])
  expect(withEnv(['a=1'], 'c', '3')).toEqual(['a=1', 'c=3'])
})

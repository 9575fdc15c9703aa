import { expect, test } from 'vitest'
import { capabilityMask } from '../../../src/runtime/shim-encode.ts'
import { runcError, shimError } from '../../../src/runtime/shim-errors.ts'
import { parseExit } from '../../../src/runtime/shim-files.ts'
import { encodeStrings } from '../../../src/runtime/shim-frames.ts'
import { signalNumber } from '../../../src/runtime/shim-process.ts'

const log = (message: string) =>
  `{"level":"warning","msg":"something else"}\n{"level":"error","msg":${JSON.stringify(message)},"time":"2026-01-01T00:00:00Z"}\n`

test.each([
  ['runc run failed: unable to start container process: exec: "x": executable file not found in $PATH', 127],
  ['runc run failed: unable to start container process: exec: "/x": stat /x: no such file or directory', 127],
  ['runc run failed: unable to start container process: exec: "/etc/passwd": permission denied', 126],
  [
    'runc run failed: unable to start container process: chdir to cwd ("/none") set in config.json failed: no such file or directory',
    126,
  ],
  ['runc run failed: unable to apply cgroup configuration: something', 128],
])('%s', (message, exitCode) => {
  const error = runcError(log(message), 'create')
  expect(error).toMatchObject({ code: 'FAILED', exitCode })
  expect(error.message).toBe(
    `failed to create task for container: failed to create shim task: OCI runtime create failed: ${message}: unknown`,
  )
})

test('kinds of failure become codes', () => {
  const failed = (...strings: string[]) => shimError(encodeStrings(strings))
  expect(failed('port', '000', 'Bind for 0.0.0.0:80 failed: address already in use')).toMatchObject({
    code: 'CONFLICT',
    message: 'Bind for 0.0.0.0:80 failed: address already in use',
  })
  expect(failed('exec', '127', 'no')).toMatchObject({
    code: 'FAILED',
    exitCode: 127,
    message: 'OCI runtime exec failed: no',
  })
  expect(failed('state', '000', 'container is not running')).toMatchObject({ code: 'CONFLICT' })
  expect(failed('system', '000', 'mount: no')).toMatchObject({ code: 'FAILED', message: 'mount: no' })
})

test('an exit record is read; anything else is corrupt', () => {
  expect(parseExit('137 9 1 1795869552297833845\n', '/b')).toEqual({
    exitCode: 137,
    signal: 9,
    oomKilled: true,
    finishedAt: 1795869552297833845n,
  })
  expect(() => parseExit('137 9', '/b')).toThrow('/b/exit is not an exit record')
})

test('signals are known by name and number', () => {
  expect(['SIGTERM', 'term', '15', 15, 'RTMIN+3', 'SIGRTMAX'].map(signalNumber)).toEqual([15, 15, 15, 15, 37, 64])
  expect(() => signalNumber('nonesuch')).toThrow('invalid signal: nonesuch')
})

test('capabilities are bits by their number', () => {
  expect(capabilityMask(['CAP_CHOWN', 'CAP_CHECKPOINT_RESTORE'])).toBe(String(1n | (1n << 40n)))
  expect(capabilityMask(undefined)).toBe('0')
})

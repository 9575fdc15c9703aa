/** Run as a program: takes one container through its life, to be killed at any moment of it. */
import { openEngine } from '../../../src/engine/open.ts'
import { specOf } from './run-container.ts'

const [name = '', network = 'none'] = process.argv.slice(2)
const engine = await openEngine({ env: process.env })
const { id } = await engine.containers.create(
  specOf('trap "exit 0" TERM; while :; do sleep 0.05; done', {
    name,
    mounts: [{ kind: 'volume', target: '/data' }],
    ...(network === 'none'
      ? {}
      : {
          network: { kind: 'networks', endpoints: [{ network }] } as const,
          ports: [{ containerPort: 80, protocol: 'tcp', hostIp: '127.0.0.1', hostPort: 0 }] as const,
        }),
  }),
)
await engine.containers.start(id)
await engine.containers.restart(id)
await engine.containers.stop(id, { timeoutSeconds: 5 })
await engine.containers.remove(id, { volumes: true })
await engine[Symbol.asyncDispose]()
process.stdout.write('done\n')

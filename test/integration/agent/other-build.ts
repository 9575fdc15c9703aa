import { runAgent } from '../../../src/agent/run.ts'

/** An agent that says it is of another build. */
const controller = new AbortController()
process.on('SIGTERM', () => controller.abort())
await runAgent({ env: process.env, build: 'another', onError: () => {} }, controller.signal)

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

/** A process in a network namespace of its own that does what it is told, one line of JSON per call. */
export interface LabProcess {
  readonly pid: number
  call<T = unknown>(method: string, ...values: readonly unknown[]): Promise<T>
  end(): Promise<void>
}

/** Runs a script of this folder in a new network namespace. */
export async function startLabProcess(script: string, args: readonly string[]): Promise<LabProcess> {
  const child: ChildProcess = spawn('unshare', ['-n', process.execPath, `${import.meta.dirname}/${script}`, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  let ended: Error | undefined
  child.stdin?.on('error', () => {})
  child.on('close', (code) => {
    ended = new Error(`${script} ended with ${code}`)
    for (const { reject } of waiting.values()) reject(ended)
  })
  if (!child.stdout) throw new Error('no stdout')
  createInterface({ input: child.stdout }).on('line', (line) => {
    const answer = JSON.parse(line) as { id: number; value?: unknown; error?: { code: string; message: string } }
    const one = waiting.get(answer.id)
    waiting.delete(answer.id)
    if (answer.error) one?.reject(Object.assign(new Error(answer.error.message), { code: answer.error.code }))
    else one?.resolve(answer.value)
  })
  let count = 0
  const lab: LabProcess = {
    pid: child.pid as number,
    call: <T>(method: string, ...values: readonly unknown[]) =>
      new Promise<T>((resolve, reject) => {
        if (ended) return reject(ended)
        const id = ++count
        waiting.set(id, { resolve: resolve as (value: unknown) => void, reject })
        child.stdin?.write(`${JSON.stringify({ id, method, values })}\n`)
      }),
    async end() {
      if (ended) return
      const closed = once(child, 'close')
      child.stdin?.end()
      await closed
    },
  }
  await lab.call('ping')
  return lab
}

import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { createWorkspace, type Workspace } from '../support/workspace.ts'

async function watching(work: Workspace): Promise<{ stop(): Promise<void> }> {
  let pid = 0
  const ended = work.tcompose(['watch', '--no-up'], {
    onSpawn: (one) => {
      pid = one
    },
  })
  return {
    async stop() {
      process.kill(pid, 'SIGINT')
      await ended
    },
  }
}

const inContainer = async (work: Workspace, script: string): Promise<string> =>
  (await work.tcompose(['exec', '-T', 'app', 'sh', '-c', script])).stdout

test('watch copies what is saved, removes what is deleted, and leaves ignored files out', async () => {
  await using work = await createWorkspace()
  work.write({
    'compose.yaml': `services:
  app:
    image: busybox
    command: ["sleep", "2147483647"]
    stop_grace_period: 0s
    develop:
      watch:
        - { action: sync, path: ./src, target: /app, initial_sync: true, ignore: ["*.log"] }
`,
    'src/first.txt': 'one\n',
  })
  await work.ok(['up', '-d'])
  const watch = await watching(work)
  await eventually(async () => (await inContainer(work, 'cat /app/first.txt')) === 'one\n', 60_000)
  const src = join(work.dir, 'src')
  writeFileSync(join(src, 'first.txt'), 'two\n')
  writeFileSync(join(src, 'noise.log'), 'x')
  mkdirSync(join(src, 'deep/er'), { recursive: true })
  writeFileSync(join(src, 'deep/er/file'), 'three\n')
  await eventually(
    async () => (await inContainer(work, 'cat /app/first.txt /app/deep/er/file')) === 'two\nthree\n',
    60_000,
  )
  rmSync(join(src, 'deep'), { recursive: true })
  await eventually(async () => (await inContainer(work, 'ls /app')) === 'first.txt\n', 60_000)
  await watch.stop()
  await work.ok(['down'])
})

test('a link of the container never makes watch write on the host', async () => {
  await using work = await createWorkspace()
  work.write({
    'compose.yaml': `services:
  app:
    image: busybox
    command: ["sleep", "2147483647"]
    stop_grace_period: 0s
    develop:
      watch:
        - { action: sync, path: ./src, target: /app }
`,
    'src/file': 'zero\n',
  })
  await work.ok(['up', '-d'])
  await inContainer(work, `mkdir -p /app ${work.dir}; ln -s ${work.dir}/escaped /app/link`)
  const watch = await watching(work)
  // What is saved at once may come before the watch stands: repeated until one is seen.
  let count = 0
  await eventually(async () => {
    writeFileSync(join(work.dir, 'src/link'), `${++count}\n`)
    return (await inContainer(work, 'cat /app/link')) !== ''
  }, 60_000)
  await expect(async () => (await import('node:fs/promises')).stat(join(work.dir, 'escaped'))).rejects.toThrow(/ENOENT/)
  await watch.stop()
  await work.ok(['down'])
})

test('watch copies what a rule includes, then runs its command as it says', async () => {
  await using work = await createWorkspace()
  work.write({
    'compose.yaml': `services:
  app:
    image: busybox
    command: ["sleep", "2147483647"]
    stop_grace_period: 0s
    develop:
      watch:
        - action: sync+exec
          path: ./src
          target: /app
          include: ["*.txt"]
          exec:
            command: ["sh", "-c", "echo $$(id -u) $$(pwd) $$WORD $$(grep CapEff /proc/self/status) > /tmp/ran"]
            user: "0:7"
            working_dir: /tmp
            environment: { WORD: reload }
            privileged: true
        - { action: sync+exec, path: ./user, target: /user, exec: { command: ["sh", "-c", "id -u > /tmp/user"], user: "123" } }
`,
    'src/a.txt': 'zero\n',
    'user/file': 'zero\n',
  })
  await work.ok(['up', '-d'])
  const watch = await watching(work)
  // What is saved at once may come before the watch stands: repeated until it is seen.
  let count = 0
  await eventually(async () => {
    writeFileSync(join(work.dir, 'src/b.log'), 'x')
    writeFileSync(join(work.dir, 'src/a.txt'), `${++count}\n`)
    writeFileSync(join(work.dir, 'user/file'), `${count}\n`)
    return (await inContainer(work, 'cat /tmp/ran')) !== '' && (await inContainer(work, 'cat /tmp/user')) !== ''
  }, 60_000)
  const [uid, folder, word, , capabilities] = (await inContainer(work, 'cat /tmp/ran')).trim().split(' ')
  expect([uid, folder, word]).toEqual(['0', '/tmp', 'reload'])
  // CAP_SYS_ADMIN, which no container has unless it is privileged.
  expect((BigInt(`0x${capabilities}`) >> 21n) & 1n).toBe(1n)
  expect(await inContainer(work, 'cat /tmp/user')).toBe('123\n')
  expect(await inContainer(work, 'ls /app')).toBe('a.txt\n')
  await watch.stop()
  await work.ok(['down'])
})

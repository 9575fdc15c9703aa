/** The compose projects that are timed: the same work for every engine. */

const JOB = "trap 'exit 0' TERM; echo up; sleep 2147483647 & wait"

function service(extra = ''): string {
  return `    image: busybox:latest\n    command: ["sh", "-c", "${JOB}"]\n${extra}`
}

/** `count` equal services on one network. */
export function equalServices(count: number): string {
  const names = Array.from({ length: count }, (_, index) => `s${String(index + 1).padStart(2, '0')}`)
  return `services:\n${names.map((name) => `  ${name}:\n${service()}`).join('')}`
}

/** Ten services: a chain of depth three over two networks. */
export function layeredServices(): string {
  const back = '    networks: [back]\n'
  const both = '    networks: [back, front]\n'
  const front = '    networks: [front]\n'
  const rows: [string, string, string[]][] = [
    ['base1', back, []],
    ['base2', back, []],
    ['base3', back, []],
    ['middle1', both, ['base1', 'base2']],
    ['middle2', both, ['base2', 'base3']],
    ['middle3', both, ['base1', 'base3']],
    ['edge1', front, ['middle1']],
    ['edge2', front, ['middle2']],
    ['edge3', front, ['middle3']],
    ['edge4', front, ['middle1', 'middle2', 'middle3']],
  ]
  const services = rows.map(
    ([name, networks, needs]) =>
      `  ${name}:\n${service(networks)}${needs.length > 0 ? `    depends_on: [${needs.join(', ')}]\n` : ''}`,
  )
  return `services:\n${services.join('')}networks:\n  front:\n  back:\n`
}

/** One service that has written 100,000 lines and stays. */
export function loggingService(): string {
  return `services:
  app:
    image: busybox:latest
    command:
      - sh
      - -c
      - |
        trap 'exit 0' TERM
        seq 1 100000 | awk '{printf "%06d a line of some length, as the access log of an ordinary web server would have it\\n", $$1}'
        touch /tmp/done
        sleep 2147483647 & wait
`
}

/** A build of ten steps. */
export function tenSteps(): { readonly compose: string; readonly dockerfile: string } {
  const steps = Array.from({ length: 9 }, (_, index) => `RUN echo ${index} >/file${index}`)
  return {
    compose: 'services:\n  app:\n    build: .\n    image: bench-steps\n',
    dockerfile: `FROM busybox:latest\n${steps.join('\n')}\nCOPY Dockerfile /\n`,
  }
}

import { shortId } from '../base/digest.ts'
import { humanDuration } from '../base/duration.ts'
import type { Container, PublishedPort } from '../engine/containers/types.ts'
import { LABEL } from '../project/labels.ts'
import { serviceOf } from '../project/names.ts'
import type { TemplateData } from '../ui/template.ts'
import { ago } from './format.ts'

/** `Up 5 minutes (healthy)`, `Exited (1) 2 hours ago`: docker's status text. */
export function statusText(container: Container, nowMs: number): string {
  const { state } = container
  const since = (time: string): string => humanDuration(Math.max(0, nowMs - Date.parse(time)))
  switch (state.status) {
    case 'running': {
      const health = state.health
      const suffix = health ? ` (${health.status === 'starting' ? 'health: starting' : health.status})` : ''
      return `Up ${since(state.startedAt)}${suffix}`
    }
    case 'paused':
      return `Up ${since(state.startedAt)} (Paused)`
    case 'restarting':
      return `Restarting (${state.exitCode}) ${since(state.finishedAt)} ago`
    case 'exited':
      return `Exited (${state.exitCode}) ${since(state.finishedAt)} ago`
    case 'created':
      return 'Created'
    case 'dead':
      return 'Dead'
    case 'removing':
      return 'Removal In Progress'
  }
}

/** `0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, 443/tcp` */
export function portsText(container: Container): string {
  const published = container.ports.flatMap(expand)
  const taken = new Set(container.ports.map((one) => `${one.containerPort}/${one.protocol}`))
  const exposed =
    container.state.status === 'running' ? (container.spec.exposedPorts ?? []).filter((one) => !taken.has(one)) : []
  return [
    ...published.map((one) => `${bracket(one.hostIp)}:${one.hostPort}->${one.containerPort}/${one.protocol}`),
    ...exposed,
  ].join(', ')
}

/** All addresses are shown as the two families they mean. */
function expand(port: PublishedPort): readonly PublishedPort[] {
  if (port.hostIp !== '') return [port]
  return [
    { ...port, hostIp: '0.0.0.0' },
    { ...port, hostIp: '::' },
  ]
}

function bracket(ip: string): string {
  return ip.includes(':') ? `[${ip}]` : ip
}

/** A container as `ps --format` shows it, with Compose's field names. */
export function containerView(
  container: Container,
  options: { readonly truncate: boolean; readonly nowMs: number },
): TemplateData {
  const { labels, state } = container
  const command = container.args.join(' ')
  const cut = (text: string): string => (options.truncate && text.length > 20 ? `${text.slice(0, 19)}…` : text)
  const volumes = container.mounts.filter((one) => one.kind === 'volume')
  return {
    Command: JSON.stringify(cut(command)),
    CreatedAt: goTime(container.createdAt),
    ExitCode: state.exitCode,
    Health: state.health?.status ?? '',
    ID: options.truncate ? shortId(container.id) : container.id,
    Image: container.spec.image,
    Labels: Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
    LocalVolumes: String(volumes.length),
    Mounts: container.mounts.map((one) => one.name ?? one.source).join(','),
    Name: container.name,
    Names: container.name,
    Networks: container.endpoints.map((one) => one.networkName).join(','),
    Ports: portsText(container),
    Project: labels[LABEL.project] ?? '',
    Publishers: container.ports.flatMap(expand).map((one) => ({
      URL: one.hostIp,
      TargetPort: one.containerPort,
      PublishedPort: one.hostPort,
      Protocol: one.protocol,
    })),
    RunningFor: ago(container.createdAt, options.nowMs),
    Service: serviceOf(container),
    Size: '0B',
    State: state.status,
    Status: statusText(container, options.nowMs),
  }
}

/** `2024-05-01 10:20:30 +0000 UTC` */
function goTime(time: string): string {
  return `${new Date(time).toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`
}

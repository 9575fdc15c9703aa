import type { Engine } from '../../engine/engine.ts'
import type { EngineEvent } from '../../engine/events/types.ts'
import { type Filters, readFilters } from '../exchange.ts'
import { badRequest } from '../http-error.ts'
import type { Routes } from '../router.ts'

const FILTERS = [
  'config',
  'container',
  'daemon',
  'event',
  'image',
  'label',
  'network',
  'node',
  'plugin',
  'scope',
  'secret',
  'service',
  'type',
  'volume',
]

/** The event feed. */
export function eventRoutes(engine: Engine): Routes {
  return {
    'GET /events': async ({ query, signal }, response) => {
      const filters = readFilters(query, FILTERS)
      const since = timeNs(query.get('since'))
      const until = timeNs(query.get('until'))
      const source = engine.events.watch(
        {
          live: true,
          ...(since === undefined ? {} : { sinceNs: since }),
          ...(until === undefined ? {} : { untilNs: until }),
        },
        signal,
      )
      const stream = response.stream(200, 'application/json')
      for await (const event of source) {
        if (matches(event, filters)) await stream.write(wireEvent(event))
      }
      stream.end()
    },
  }
}

/** As a line of JSON; nanoseconds do not fit a number, so their digits go out as they are. */
export function wireEvent(event: EngineEvent): string {
  const legacy =
    event.type === 'container' || event.type === 'image'
      ? {
          status: event.action,
          id: event.actorId,
          ...(event.attributes.image === undefined ? {} : { from: event.attributes.image }),
        }
      : {}
  const all = {
    ...legacy,
    Type: event.type,
    Action: event.action,
    Actor: { ID: event.actorId, Attributes: event.attributes },
    scope: 'local',
  }
  return `${JSON.stringify(all).slice(0, -1)},"time":${event.timeNs.slice(0, -9)},"timeNano":${event.timeNs}}\n`
}

function timeNs(text: string | null): string | undefined {
  if (text === null || text === '') return undefined
  const unix = /^(\d+)(?:\.(\d{1,9})\d*)?$/.exec(text)
  if (unix) return `${unix[1]}${(unix[2] ?? '').padEnd(9, '0')}`
  const ms = Date.parse(text)
  if (Number.isNaN(ms)) throw badRequest(`invalid time ${JSON.stringify(text)}`)
  return `${ms}000000`
}

function matches(event: EngineEvent, filters: Filters): boolean {
  const any = (name: string, test: (value: string) => boolean): boolean => {
    const values = filters.get(name)
    return values === undefined || values.length === 0 || values.some(test)
  }
  const names = (type: string, value: string): boolean =>
    event.type === type && (event.actorId.startsWith(value) || event.attributes.name === value)
  return (
    any('type', (value) => value === event.type) &&
    any('event', (value) => event.action === value || event.action.startsWith(`${value}:`)) &&
    any('container', (value) => names('container', value)) &&
    any('network', (value) => names('network', value)) &&
    any('volume', (value) => names('volume', value)) &&
    any('image', (value) => names('image', value) || event.attributes.image === value) &&
    any('scope', (value) => value === 'local') &&
    (filters.get('label') ?? []).every((label) => {
      const [key = '', value] = label.split('=')
      return key in event.attributes && (value === undefined || event.attributes[key] === value)
    })
  )
}

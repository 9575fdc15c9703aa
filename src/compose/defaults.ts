import { type Draft, isList, isMap, mapOf, mapValues, type Tree, type TreeMap } from './tree.ts'

/** Fills in what Compose takes for granted, so that nothing after this has to know it. */
export function applyDefaults(tree: TreeMap): TreeMap {
  if (!isMap(tree.services)) return tree
  return {
    ...tree,
    services: mapValues(tree.services, (service) => (isMap(service) ? serviceDefaults(service) : service)),
  }
}

function serviceDefaults(service: TreeMap): TreeMap {
  const out: Draft = { ...service }
  if (isMap(service.build) && service.build.context === undefined) out.build = { context: '.', ...service.build }
  if (isList(service.ports))
    out.ports = service.ports.map((port) => (isMap(port) ? { mode: 'ingress', protocol: 'tcp', ...port } : port))
  if (isList(service.secrets)) {
    out.secrets = service.secrets.map((one) => {
      if (!isMap(one) || typeof one.source !== 'string') return one
      return one.target === undefined ? { ...one, target: `/run/secrets/${one.source}` } : one
    })
  }
  if (isList(service.gpus)) out.gpus = service.gpus.map(deviceCount)
  const reservations = mapOf(mapOf(mapOf(service.deploy).resources).reservations)
  if (isList(reservations.devices)) {
    const deploy = mapOf(service.deploy)
    out.deploy = {
      ...deploy,
      resources: {
        ...mapOf(deploy.resources),
        reservations: { ...reservations, devices: reservations.devices.map(deviceCount) },
      },
    }
  }
  return out
}

/** Neither a count nor ids: all there are. */
function deviceCount(request: Tree): Tree {
  if (!isMap(request) || request.count !== undefined || request.device_ids !== undefined) return request
  return { ...request, count: -1 }
}

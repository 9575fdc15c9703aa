import type { EndpointSpec, PortSpec } from '../containers/spec.ts'
import type { ContainerEndpoint } from '../containers/types.ts'

export interface IpamPool {
  readonly subnet?: string
  readonly ipRange?: string
  readonly gateway?: string
  readonly auxAddresses?: Readonly<Record<string, string>>
}

export interface NetworkSpec {
  readonly name: string
  readonly driver?: 'bridge' | 'macvlan' | 'ipvlan' | 'host' | 'none'
  readonly driverOpts?: Readonly<Record<string, string>>
  readonly internal?: boolean
  readonly attachable?: boolean
  readonly enableIpv4?: boolean
  readonly enableIpv6?: boolean
  readonly ipam?: {
    readonly driver?: string
    readonly options?: Readonly<Record<string, string>>
    readonly pools: readonly IpamPool[]
  }
  readonly labels?: Readonly<Record<string, string>>
}

export interface Network {
  /** 64 hex digits. */
  readonly id: string
  readonly name: string
  readonly createdAt: string
  readonly driver: string
  readonly spec: NetworkSpec
  readonly labels: Readonly<Record<string, string>>
  /** Host interface of a bridge network: `br-` and 12 digits of the id. */
  readonly bridge: string
  readonly ipv4Subnet: string
  readonly ipv4Gateway: string
  readonly ipv6Subnet: string
  readonly ipv6Gateway: string
}

/** What a container's start needs done to its network, decided before its shim runs. */
export interface AttachRequest {
  readonly containerId: string
  /** Pid in whose network namespace the container lives (its shim). */
  readonly pid: number
  readonly endpoints: readonly ContainerEndpoint[]
  readonly ports: readonly {
    readonly containerPort: number
    readonly protocol: string
    readonly hostIp: string
    readonly hostPort: number
  }[]
}

/** An interface inside the container, which the shim configures by itself. */
export interface ContainerInterface {
  /** Name it has when it arrives in the namespace, and the name it must get. */
  readonly temporaryName: string
  readonly name: string
  readonly macAddress: string
  /** `address/prefix` */
  readonly addresses: readonly string[]
  /** Default routes through this interface. */
  readonly gateways: readonly string[]
  readonly mtu: number
}

/**
 * Networks and their endpoints. Addresses are given at `allocate` (container create) and kept until `release`;
 * kernel objects exist from network create to remove, and are made again by `reconcile` after a reboot.
 */
export interface Networks {
  create(spec: NetworkSpec): Promise<Network>
  get(ref: string): Promise<Network>
  find(ref: string): Promise<Network | undefined>
  list(filter?: {
    readonly labels?: readonly string[]
    readonly names?: readonly string[]
  }): Promise<readonly Network[]>
  /** @throws TcomposeError CONFLICT when endpoints are left: `error while removing network: network X id … has active endpoints` */
  remove(ref: string): Promise<void>
  /** Ids of containers with an endpoint there. */
  containersOf(networkId: string): Promise<readonly string[]>
  /** Chooses addresses and writes the endpoint records; `names` are the DNS names besides the spec's aliases. */
  allocate(containerId: string, spec: EndpointSpec, names: readonly string[]): Promise<ContainerEndpoint>
  release(containerId: string, networkId?: string): Promise<void>
  /** Decides host ports: fixed ones are checked against other containers', free ones chosen. @throws CONFLICT */
  choosePorts(containerId: string, ports: readonly PortSpec[]): Promise<AttachRequest['ports']>
  /** Host side: veth pairs into the namespace, bridge ports, published ports. One transaction; concurrent calls are batched. */
  attach(request: AttachRequest): Promise<readonly ContainerInterface[]>
  /** Undoes `attach`; idempotent, also after the namespace has gone. */
  detach(containerId: string): Promise<void>
  /** Makes the kernel agree with the records: missing bridges, stale rules, links without container. */
  reconcile(): Promise<void>
  /** Address of the host as that container sees it (`host-gateway`): its gateway, else one of the host's own. */
  hostGateway(containerId?: string): Promise<string>
}

import type { Readable, Writable } from 'node:stream'
import type { OciProcess, OciSpec } from './oci-spec-types.ts'

/** Everything one container's shim needs; see shim/protocol.h for what becomes of it. */
export interface LaunchRequest {
  /** Name of the container for runc. */
  readonly id: string
  /**
   * Absolute path of an existing, empty directory, 0700. The shim's files in it: `config.json` (from `spec`), `id`, `rootfs`
   * (mount point in the shim's own mount namespace), `sock`, `pid`, `exit`, `runc.log`. Nobody but its maker removes it.
   */
  readonly bundle: string
  /** Its `root.path` must be `<bundle>/rootfs`. */
  readonly spec: OciSpec
  readonly runcRoot: string
  readonly overlay: RootOverlay
  /**
   * `own`: the shim makes a network namespace and lives in it; the spec names none. `host`: the spec names none either.
   * `path`: the spec names it; the shim stays in the host's.
   */
  readonly netns:
    | { readonly kind: 'own' }
    | { readonly kind: 'host' }
    | { readonly kind: 'path'; readonly path: string }
  /** Sysctls (`net.…`) the shim writes in a namespace of its own; those of any other belong in the spec. */
  readonly sysctls?: Readonly<Record<string, string>>
  readonly tty: boolean
  readonly openStdin: boolean
  readonly log: LogRequest
  /** Bound in the host's network namespace for as long as the container lives; what nft does not redirect is proxied. */
  readonly ports: readonly PortRequest[]
  /** Whether 127.0.0.11 answers in the container's own network namespace (see ShimConnection.serveNames). */
  readonly dns: boolean
  /** Overlays mounted read-only at `path` (below the bundle; made if missing) before runc runs, to be bound from there. */
  readonly images?: readonly { readonly path: string; readonly lowers: readonly string[] }[]
  /** File systems mounted at `path` (below the bundle; made if missing) in the shim's own mount namespace. */
  readonly mounts?: readonly MountRequest[]
}

export type RootOverlay =
  /** `lowers`: topmost first. `work` and `upper` are made if missing. */
  | { readonly lowers: readonly string[]; readonly upper: string; readonly work: string }
  /** A directory used as it is. */
  | { readonly rootfs: string }

export type LogRequest =
  | {
      readonly driver: 'json-file'
      /** Made if missing; appended to. Rotated files are `path.1`, …, `.gz` when compressed. */
      readonly path: string
      /** 0: unlimited. */
      readonly maxSizeBytes: number
      readonly maxFiles: number
      readonly compress: boolean
      /** Written in every line. */
      readonly attrs?: Readonly<Record<string, string>>
    }
  | { readonly driver: 'none' }

export interface PortRequest {
  readonly protocol: string
  /** `''`: all addresses, v4 and v6. */
  readonly hostIp: string
  readonly hostPort: number
  readonly containerPort: number
}

export interface MountRequest {
  readonly path: string
  readonly type: string
  readonly device: string
  /**
   * Comma-separated as for mount(8); `bind` and `rbind` count. For type `process`, the mount that the process with the
   * pid `device` has at this path of its own namespace.
   */
  readonly options: string
}

/** An interface the shim finds in the container's network namespace and configures. */
export interface ShimInterface {
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

/** A shim that holds the container's mounts, ports and namespaces and waits for `start`. */
export interface ShimHandle {
  readonly shimPid: number
  readonly shimStart: string
  /**
   * Configures the interfaces and runs the container. Attach by `connectShim` before it to miss no output.
   * @throws TcomposeError FAILED in runc's words, with Docker's `exitCode` (127 not found, 126 not executable); the shim has gone then
   */
  start(
    interfaces: readonly ShimInterface[],
    signal?: AbortSignal | undefined,
  ): Promise<{ readonly pid: number; readonly pidStart: string }>
  /** Ends a shim that has not started its container, and waits for its end; nothing of it is left. Idempotent. */
  abort(): Promise<void>
}

/** How a process ended. */
export interface ShimExit {
  /** 128 + n for a signal. */
  readonly exitCode: number
  /** Number of the signal that ended it, or 0. */
  readonly signal: number
  readonly oomKilled: boolean
  /** Nanoseconds since 1970. */
  readonly finishedAt: bigint
  readonly error?: string
}

/** The live ends of a process. Streams end when the process has ended and everything it wrote has been delivered. */
export interface ShimProcess {
  /** Host pid of an exec; of the container 0 until it runs. */
  readonly pid: number
  /** Writing fails quietly when the process has no stdin; `end` closes the process's. */
  readonly stdin: Writable
  readonly stdout: Readable
  /** Empty when there is a tty. */
  readonly stderr: Readable
  resize(size: { readonly columns: number; readonly rows: number }): void
  /** `SIGTERM`, `TERM` or a number. */
  signal(signal: string | number): void
  /** Settles after the streams have been delivered to their buffers; rejects when the shim is killed or cuts us off. */
  readonly exit: Promise<ShimExit>
  /** Lets go without ending the process: an exec goes on with its stdin closed and its output thrown away. */
  detach(): void
}

export interface ExecRequest {
  /** As in an OCI process; `terminal` for a tty. The seccomp filter is the container's own. */
  readonly process: OciProcess
  /** Whether stdin will be sent; else it is /dev/null. */
  readonly stdin: boolean
  readonly size?: { readonly columns: number; readonly rows: number } | undefined
  /** `runc`: through `runc exec` in any case, for tests; the shim falls back to it by itself where it must. */
  readonly via?: 'runc' | undefined
}

export interface AttachOptions {
  /**
   * A client that takes nothing holds the container back (`hold`, as Docker does), or is cut off when it is 1 MiB behind
   * and takes nothing for 5 s (`cut`, the default): `exit` rejects with UNAVAILABLE and it can go on from the log.
   */
  readonly whenBehind?: 'cut' | 'hold'
}

/** A query of the container's, as it came in at 127.0.0.11, without TCP's length. */
export type NameServer = (query: Buffer, overTcp: boolean) => Promise<Uint8Array | undefined>

/** One connection to a shim. Any number may be open; closing one changes nothing for the container. */
export interface ShimConnection extends AsyncDisposable {
  /** Host pid of the container's first process; 0 before it runs. */
  readonly pid: number
  /** The container's end; rejects UNAVAILABLE when the shim is killed, CANCELED when we close. */
  readonly exit: Promise<ShimExit>
  /** The container's stdio from now on; once per connection. */
  attach(options?: AttachOptions): ShimProcess
  /**
   * Starts a process in the container, over a connection of its own.
   * @throws TcomposeError FAILED with exitCode 126 or 127 when it cannot be started; CONFLICT when the container does not run
   */
  exec(request: ExecRequest, signal?: AbortSignal | undefined): Promise<ShimProcess>
  /** Answers the container's name queries from now on; the last connection to ask for it gets them. undefined: SERVFAIL */
  serveNames(answer: NameServer): void
  onOom(listener: () => void): void
  signal(signal: string | number): void
  /** Configures interfaces that have arrived in the running container's own namespace. */
  configureInterfaces(interfaces: readonly ShimInterface[], signal?: AbortSignal | undefined): Promise<void>
  close(): void
}

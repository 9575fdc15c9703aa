import type { Heredoc } from './heredoc.ts'

/** Where an instruction stands and how it was written. */
export interface Placed {
  readonly line: number
  readonly endLine: number
  /** The line with its continuations joined. */
  readonly original: string
  /** Instruction name as written: `Run`. */
  readonly written: string
}

export interface KeyValue {
  readonly key: string
  readonly value: string
}

/** A file given in the Dockerfile itself. */
export interface InlineFile {
  readonly name: string
  readonly content: string
  readonly expand: boolean
}

export interface CopyLike {
  /** Context paths, before expansion; heredocs apart. */
  readonly sources: readonly string[]
  readonly inline: readonly InlineFile[]
  readonly destination: string
  readonly chown: string
  readonly chmod: string
  readonly link: boolean
  readonly exclude: readonly string[]
}

export interface CopyInstruction extends Placed, CopyLike {
  readonly kind: 'copy'
  /** Stage, index, context or image; '' is the build context. */
  readonly from: string
  readonly parents: boolean
}

export interface AddInstruction extends Placed, CopyLike {
  readonly kind: 'add'
  readonly keepGitDir: boolean | undefined
  readonly checksum: string
  readonly unpack: boolean | undefined
}

/** A command line: words to execute, or text for the shell. */
export interface CommandLine {
  readonly shell: boolean
  readonly args: readonly string[]
}

export interface RunInstruction extends Placed, CommandLine {
  readonly kind: 'run'
  readonly heredocs: readonly Heredoc[]
  /** `--mount` values, unexpanded. */
  readonly mounts: readonly string[]
  readonly network: 'default' | 'none' | 'host'
  readonly security: 'sandbox' | 'insecure'
  readonly devices: readonly string[]
  readonly flagsUsed: readonly string[]
}

export interface Healthcheck {
  /** `['NONE']`, `['CMD', …]` or `['CMD-SHELL', text]`. */
  readonly test: readonly string[]
  /** Nanoseconds; 0: inherited. */
  readonly interval: number
  readonly timeout: number
  readonly startPeriod: number
  readonly startInterval: number
  readonly retries: number
}

export interface ArgDefinition {
  readonly key: string
  readonly value: string | undefined
  readonly doc: string | undefined
}

export type Instruction =
  | CopyInstruction
  | AddInstruction
  | RunInstruction
  | (Placed & CommandLine & { readonly kind: 'cmd' | 'entrypoint' })
  | (Placed & { readonly kind: 'env' | 'label'; readonly pairs: readonly KeyValue[]; readonly legacy: boolean })
  | (Placed & { readonly kind: 'arg'; readonly args: readonly ArgDefinition[] })
  | (Placed & { readonly kind: 'expose'; readonly ports: readonly string[] })
  | (Placed & { readonly kind: 'volume'; readonly volumes: readonly string[] })
  | (Placed & { readonly kind: 'user'; readonly user: string })
  | (Placed & { readonly kind: 'workdir'; readonly path: string })
  | (Placed & { readonly kind: 'stopsignal'; readonly stopSignal: string })
  | (Placed & { readonly kind: 'maintainer'; readonly maintainer: string })
  | (Placed & { readonly kind: 'shell'; readonly words: readonly string[] })
  | (Placed & { readonly kind: 'healthcheck'; readonly healthcheck: Healthcheck })
  | (Placed & { readonly kind: 'onbuild'; readonly expression: string })

export interface Stage extends Placed {
  /** Lower case; '' when it has none. */
  readonly name: string
  /** As written, for messages. */
  readonly writtenName: string
  readonly base: string
  readonly platform: string
  readonly asKeyword: string
  readonly doc: string | undefined
  readonly comments: readonly string[]
  readonly commands: readonly Instruction[]
}

export interface Dockerfile {
  readonly escape: string
  /** ARGs before the first FROM. */
  readonly metaArgs: readonly Extract<Instruction, { kind: 'arg' }>[]
  readonly stages: readonly Stage[]
}

/** The face of the shim for the engine: launch one, talk to one. What it leaves in files: shim-files.ts. */
export { connectShim, execInShim } from './shim-connection.ts'
export { launchShim } from './shim-launch.ts'
export type * from './shim-types.ts'

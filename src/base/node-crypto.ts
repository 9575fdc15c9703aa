/**
 * node:crypto, loaded by the first who needs it: it is a twentieth of the time of a short command such as `exec`,
 * which hashes nothing.
 */
export function nodeCrypto(): typeof import('node:crypto') {
  return process.getBuiltinModule('node:crypto')
}

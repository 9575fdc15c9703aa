/** Eight hex digits out of a text (FNV-1a, 32 bits): to tell names apart, not to protect anything. */
export function nameHash(text: string): string {
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  return hash.toString(16).padStart(8, '0')
}

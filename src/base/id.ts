import { nodeCrypto } from './node-crypto.ts'

/** 64 random hex digits, as Docker's container and network ids. Never all decimal in the first 12, which are a hostname. */
export function randomId(): string {
  for (;;) {
    const id = nodeCrypto().randomBytes(32).toString('hex')
    if (!/^\d{12}/.test(id)) return id
  }
}

export function randomHex(digits: number): string {
  return nodeCrypto()
    .randomBytes(Math.ceil(digits / 2))
    .toString('hex')
    .slice(0, digits)
}

/** As `randomId`, for names that only have to differ: it needs no cryptography, which takes its time to load. */
export function looseId(): string {
  let id = ''
  while (id.length < 64)
    id += Math.floor(Math.random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0')
  return id
}

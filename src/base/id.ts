import { randomBytes } from 'node:crypto'

/** 64 random hex digits, as Docker's container and network ids. Never all decimal in the first 12, which are a hostname. */
export function randomId(): string {
  for (;;) {
    const id = randomBytes(32).toString('hex')
    if (!/^\d{12}/.test(id)) return id
  }
}

export function randomHex(digits: number): string {
  return randomBytes(Math.ceil(digits / 2))
    .toString('hex')
    .slice(0, digits)
}

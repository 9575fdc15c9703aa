import type { Tree } from './tree.ts'

const INTEGER = /^[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[1-9][0-9_]*|0)$/
const FLOAT = /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/

/** The value of a plain scalar by go-yaml's rules: YAML 1.2 booleans, numbers of 1.1, no dates. */
export function plainValue(text: string): Tree {
  switch (text) {
    case '':
    case '~':
    case 'null':
    case 'Null':
    case 'NULL':
      return null
    case 'true':
    case 'True':
    case 'TRUE':
      return true
    case 'false':
    case 'False':
    case 'FALSE':
      return false
    case '.nan':
    case '.NaN':
    case '.NAN':
      return Number.NaN
  }
  const first = text.charCodeAt(0)
  // digits, sign or dot: nothing else starts a number
  if (!((first >= 48 && first <= 57) || first === 43 || first === 45 || first === 46)) return text
  if (/^[-+]?\.(inf|Inf|INF)$/.test(text))
    return text.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
  const plain = text.replaceAll('_', '')
  if (INTEGER.test(text)) return integer(plain)
  if (FLOAT.test(plain)) return Number(plain)
  return text
}

function integer(text: string): number {
  const negative = text.startsWith('-')
  const digits = text.replace(/^[-+]/, '')
  const value = /^0[bxo]/.test(digits)
    ? Number(digits)
    : /^0\d/.test(digits)
      ? Number.parseInt(digits, 8)
      : Number(digits)
  return negative ? -value : value
}

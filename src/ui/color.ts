/** Whether colour is wanted on a stream: `--ansi`, NO_COLOR, then whether it is a terminal. */
export function wantsColor(
  stream: { readonly isTTY?: boolean },
  ansi: 'auto' | 'always' | 'never',
  env: NodeJS.ProcessEnv,
): boolean {
  if (ansi === 'always') return true
  if (ansi === 'never' || env.NO_COLOR) return false
  return stream.isTTY === true && env.TERM !== 'dumb'
}

/** SGR codes by name; `paint` adds the reset. */
const CODES = {
  bold: '1',
  dim: '2',
  red: '31',
  green: '32',
  yellow: '33',
  blue: '34',
  magenta: '35',
  cyan: '36',
  gray: '90',
} as const
export type Color = keyof typeof CODES

export function paint(text: string, color: Color, enabled = true): string {
  return enabled && text !== '' ? `\x1b[${CODES[color]}m${text}\x1b[0m` : text
}

/** Compose's order of colours for log prefixes: the plain ones, then the same in bright. */
const PREFIX_CODES = ['36', '33', '32', '35', '34', '36;1', '33;1', '32;1', '35;1', '34;1']

/** Paints a log prefix in a colour that depends on the name's place alone, so that it stays the same in each run. */
export function paintPrefix(text: string, index: number): string {
  return `\x1b[${PREFIX_CODES[index % PREFIX_CODES.length]}m${text}\x1b[0m`
}

/** Cells a text takes on a terminal, escapes not counted; wide characters count two. */
export function displayWidth(text: string): number {
  const bare = text.replace(/\x1b\[[0-9;]*m/g, '')
  let width = 0
  for (const char of bare) {
    const code = char.codePointAt(0) as number
    const wide =
      code >= 0x1100 &&
      (code <= 0x115f ||
        (code >= 0x2e80 && code <= 0xa4cf) ||
        (code >= 0xac00 && code <= 0xd7a3) ||
        (code >= 0xf900 && code <= 0xfaff) ||
        (code >= 0xfe30 && code <= 0xfe6f) ||
        (code >= 0xff00 && code <= 0xff60) ||
        (code >= 0x1f300 && code <= 0x1faff))
    width += /\p{Mn}|\p{Me}|\p{Cf}/u.test(char) ? 0 : wide ? 2 : 1
  }
  return width
}

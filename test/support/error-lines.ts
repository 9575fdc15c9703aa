import type { TcomposeError } from '../../src/base/errors.ts'

/** An error and those it carries as plain lines: `AT: MESSAGE`, and what to do about it. */
export function errorLines(error: TcomposeError): readonly string[] {
  return [error, ...error.others].flatMap((one) => [
    `${one.at === undefined ? '' : `${one.at}: `}${one.message}`,
    ...(one.hint === undefined ? [] : [`  ${one.hint}`]),
  ])
}

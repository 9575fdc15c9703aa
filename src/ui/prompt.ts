import { createInterface } from 'node:readline/promises'

export interface PromptStreams {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean }
  readonly output: NodeJS.WritableStream
}

/** Asks a yes/no question; `fallback` is the answer of an empty line, of a closed input and of no terminal. */
export async function confirm(
  question: string,
  fallback: boolean,
  streams: PromptStreams,
  signal?: AbortSignal,
): Promise<boolean> {
  if (!streams.input.isTTY) {
    streams.output.write(`${question} ${fallback ? 'y' : 'n'}\n`)
    return fallback
  }
  const lines = createInterface({ input: streams.input, output: streams.output })
  try {
    const answer = await lines.question(
      `${question} [${fallback ? 'Y/n' : 'y/N'}] `,
      signal === undefined ? {} : { signal },
    )
    return answer.trim() === '' ? fallback : /^y(es)?$/i.test(answer.trim())
  } finally {
    lines.close()
  }
}

import {
  encodeAnswer,
  encodeError,
  type Question,
  type RecordData,
  readQuestion,
  reverseAddress,
  TYPE_A,
  TYPE_AAAA,
  TYPE_PTR,
  udpLimit,
} from './dns-message.ts'
import type { NameView } from './name-index.ts'

/** Docker's. Long for names that move; but clients of the embedded server are known to live with it. */
const TTL_SECONDS = 600
const TCP_BYTES = 65_535
const MAX_CACHED = 512
/** A name of more containers than that is answered in this many different orders. */
const MAX_ORDERS = 16

export type Verdict =
  | { readonly kind: 'answer'; readonly message: Buffer }
  /** No name of ours: somebody else may know. */
  | { readonly kind: 'forward'; readonly question: Question }
  | { readonly kind: 'drop' }

/** Answers one container's questions from the names it may know. Encoded answers are kept, as questions repeat. */
export interface NameAnswers {
  answer(query: Buffer, overTcp: boolean): Verdict
  /** Other names hold from now on. */
  replace(view: NameView): void
}

/** @param askNdots whether names without a dot stay here (`ndots` was set): the asker's resolver adds domains to them */
export function createNameAnswers(initial: NameView, askNdots = false): NameAnswers {
  let view = initial
  const kept = new Map<string, readonly Buffer[]>()

  const make = (query: Buffer, overTcp: boolean): readonly Buffer[] | Verdict => {
    const question = readQuestion(query)
    if (typeof question === 'number') {
      const message = encodeError(query, question)
      return message ? { kind: 'answer', message } : { kind: 'drop' }
    }
    const limitBytes = overTcp ? TCP_BYTES : udpLimit(question)
    const encode = (records: readonly RecordData[]): Buffer =>
      encodeAnswer(query, question, records, { ttlSeconds: TTL_SECONDS, limitBytes })
    const records = question.isInternet ? recordsOf(view, question) : undefined
    if (records) return rotations(records).map(encode)
    if (askNdots && question.name !== '' && !question.name.includes('.')) return [encode([])]
    return { kind: 'forward', question }
  }

  return {
    answer(query, overTcp) {
      // All but the number: flags, question and what the asker can take.
      const key = (overTcp ? 't' : 'u') + query.toString('latin1', 2)
      let answers = kept.get(key)
      if (!answers) {
        const made = make(query, overTcp)
        if ('kind' in made) return made
        answers = made
        if (kept.size >= MAX_CACHED) kept.clear()
        kept.set(key, answers)
      }
      const order = answers.length === 1 ? 0 : Math.floor(Math.random() * answers.length)
      const message = Buffer.from(answers[order] as Buffer)
      message[0] = query[0] as number
      message[1] = query[1] as number
      return { kind: 'answer', message }
    },
    replace(next) {
      view = next
      kept.clear()
    },
  }
}

/** Records of a name of ours, empty for a kind it has none of; undefined when the name is not ours. */
function recordsOf(view: NameView, question: Question): readonly RecordData[] | undefined {
  if (question.type === TYPE_PTR) {
    const address = reverseAddress(question.name)
    const name = address === undefined ? undefined : view.reverse(address)
    if (name) return [name]
  }
  const found = view.addresses(question.name)
  if (!found) return undefined
  if (question.type === TYPE_A) return found.ipv4
  return question.type === TYPE_AAAA ? found.ipv6 : []
}

/** Every record comes first in one of them, and no container is always the second: the rest is shuffled. */
function rotations(records: readonly RecordData[]): readonly (readonly RecordData[])[] {
  if (records.length < 2) return [records]
  return records.slice(0, MAX_ORDERS).map((first) => [first, ...shuffled(records.filter((other) => other !== first))])
}

function shuffled<T>(values: readonly T[]): T[] {
  const result = [...values]
  for (let at = result.length - 1; at > 0; at--) {
    const other = Math.floor(Math.random() * (at + 1))
    ;[result[at], result[other]] = [result[other] as T, result[at] as T]
  }
  return result
}

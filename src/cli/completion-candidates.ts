import { Command } from 'commander'
import { GLOBAL_FLAGS } from './globals.ts'
import type { Session } from './session.ts'
import { findVerb, VERBS } from './verbs.ts'

/** Verbs whose words are services. */
const SERVICE_VERBS: ReadonlySet<string> = new Set(
  'attach build commit config cp create down events exec export images kill logs pause port ps pull push restart rm run scale start stats stop top unpause up volumes wait watch'.split(
    ' ',
  ),
)

/** What may stand in place of the last of `words`: verbs, flags, services, profiles. Nothing when it cannot be told. */
export async function candidates(session: Session, words: readonly string[]): Promise<readonly string[]> {
  const line = words[0] === '--' ? words.slice(1) : words
  const last = line.at(-1) ?? ''
  const before = line.slice(0, -1)
  if (before.at(-1) === '--profile') return profiles(session)
  const verb = verbOf(before)
  if (verb === undefined) {
    if (last.startsWith('-')) return GLOBAL_FLAGS.flatMap((flag) => (flag.help === undefined ? [] : [flag.long]))
    return VERBS.filter((one) => one.summary !== '').map((one) => one.name)
  }
  const command = await loadCommand(verb, session)
  if (!command) return []
  const sub = command.commands.find((one) => before.includes(one.name()))
  if (last.startsWith('-')) {
    return (sub ?? command).options.flatMap((option) => (option.hidden || !option.long ? [] : [option.long]))
  }
  if (command.commands.length > 0 && !sub) return command.commands.map((one) => one.name())
  if (!SERVICE_VERBS.has(verb)) return []
  const services = await serviceNames(session)
  return verb === 'scale' ? services.map((one) => `${one}=`) : services
}

function verbOf(words: readonly string[]): string | undefined {
  for (let index = 0; index < words.length; index++) {
    const word = words[index] as string
    const flag = GLOBAL_FLAGS.find((one) => one.long === word || one.short === word)
    if (flag?.value !== undefined) index++
    else if (!word.startsWith('-')) return word
  }
  return undefined
}

async function loadCommand(verb: string, session: Session): Promise<Command | undefined> {
  const found = findVerb(verb)
  if (!found) return undefined
  const command = new Command(verb)
  ;(await found.load()).configure(command, session)
  return command
}

async function serviceNames(session: Session): Promise<readonly string[]> {
  try {
    const project = await session.project({ keepOthers: true })
    return [...Object.keys(project.services), ...Object.keys(project.disabled_services)].sort()
  } catch {
    return []
  }
}

async function profiles(session: Session): Promise<readonly string[]> {
  try {
    const project = await session.project({ keepOthers: true })
    const all = [...Object.values(project.services), ...Object.values(project.disabled_services)]
    return [...new Set(all.flatMap((service) => service.profiles ?? []))].sort()
  } catch {
    return []
  }
}

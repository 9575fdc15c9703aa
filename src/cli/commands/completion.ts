import type { Command } from 'commander'
import { TcomposeError } from '../../base/errors.ts'
import type { Session } from '../session.ts'

export function configure(command: Command, session: Session): void {
  command
    .argument('[shell]', 'bash, zsh or fish', 'bash')
    .addHelpText(
      'after',
      '\nExamples:\n  tcompose completion bash > /etc/bash_completion.d/tcompose\n  tcompose completion fish > ~/.config/fish/completions/tcompose.fish\n',
    )
    .passThroughOptions()
    .allowUnknownOption()
    .argument('[words...]')
    .action(async (shell: string, words: readonly string[]) => {
      if (shell === 'candidates') {
        const { candidates } = await import('../completion-candidates.ts')
        session.write((await candidates(session, words)).map((one) => `${one}\n`).join(''))
        return
      }
      const script = SCRIPTS[shell]
      if (script === undefined) {
        throw new TcomposeError('INVALID', `no completion for ${JSON.stringify(shell)}`, {
          hint: 'bash, zsh and fish are known',
        })
      }
      session.write(script)
    })
}

const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `_tcompose() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -W "$(tcompose completion candidates -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "\${COMP_WORDS[COMP_CWORD]}"))
  [ \${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _tcompose tcompose
`,
  zsh: `#compdef tcompose
_tcompose() {
  local -a found
  found=("\${(@f)$(tcompose completion candidates -- "\${words[@]:1:$((CURRENT-1))}" 2>/dev/null)}")
  if [ -n "\${found[*]}" ]; then compadd -a found; else _files; fi
}
compdef _tcompose tcompose
`,
  fish: `complete -c tcompose -f -a '(tcompose completion candidates -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
`,
}

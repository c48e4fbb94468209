/**
 * Shell completion, by @bomb.sh/tab over commander's own tree: `gctr completion bash|zsh|fish` prints the script
 * to source, which calls `gctr complete -- words` at each press of the key.
 */
import tab from '@bomb.sh/tab/commander'
import type { Command } from 'commander'

export const completionCommand = 'completion'
/** What the printed scripts call. */
export const completeCommand = 'complete'

/** The script for bash takes its words by a function of the package bash-completion, which may be missing. */
const bashPrelude = `type -t _get_comp_words_by_ref >/dev/null || _get_comp_words_by_ref() {
    words=("\${COMP_WORDS[@]}") cword=$COMP_CWORD
    cur=\${words[cword]} prev=\${words[cword > 0 ? cword - 1 : 0]}
}`

/** Adds both commands. Only when asked for: the library walks the whole tree. */
export function addCompletion(program: Command): void {
  if (process.argv[2] === completionCommand && process.argv[3] === 'bash') console.log(bashPrelude)
  tab(program, { completionCommandName: completionCommand })
}

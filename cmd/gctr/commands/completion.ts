/**
 * Shell completion, by @bomb.sh/tab over commander's own tree: `gctr completion bash|zsh|fish` prints the script
 * to source, which calls `gctr complete -- words` at each press of the key.
 */
import tab from '@bomb.sh/tab/commander'
import type { Command } from 'commander'

export const completionCommand = 'completion'
/** What the printed scripts call. */
export const completeCommand = 'complete'

/** Adds both commands. Only when asked for: the library walks the whole tree. */
export function addCompletion(program: Command): void {
  tab(program, { completionCommandName: completionCommand })
}

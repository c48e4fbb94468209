/** What a RUN executes: its words, and the scripts that here-documents bring along. */
import type { RunInstruction } from '../language/dockerfile.ts'
import { defaultShell, runConfig, type StageState } from '../solve/stage-state.ts'

export interface RunCommand {
  readonly args: readonly string[]
  /** A script to be put at this path before, executable; undefined: none. */
  readonly script: { readonly path: string; readonly content: string } | undefined
  /** For history and progress. */
  readonly text: string
}

/**
 * The exec form runs as it is, the shell form by the SHELL. A lone here-document is a script for the shell, or for the
 * interpreter of its `#!` line; others are the shell's to read, so it gets them after its line.
 */
export function runCommand(state: StageState, { command }: RunInstruction): RunCommand {
  if (command.form === 'exec') return { args: command.args, script: undefined, text: command.args.join(' ') }
  const shell = runConfig(state).Shell ?? defaultShell
  const { line, heredocs } = command
  const [only] = heredocs
  const isLone = only !== undefined && heredocs.length === 1 && /^<<-?\s*\S+$/.test(line.trim())
  if (isLone && only.content.startsWith('#!')) {
    const path = `/dev/pipes/${only.name}`
    return { args: [path], script: { path, content: only.content }, text: line }
  }
  const bodies = heredocs.map(({ content, name }) => `\n${content}${name}`).join('')
  const text = isLone ? only.content : line + bodies
  return { args: [...shell, text], script: undefined, text: [...shell, text].join(' ') }
}

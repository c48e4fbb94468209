/** The check that needs the stage's variables, those of its base image among them. */
import type { Instruction } from '../language/dockerfile.ts'
import { expandWord } from '../language/expand.ts'
import { similar } from '../language/flags.ts'

export interface Variables {
  readonly escapeChar: string
  lookup(name: string): string | undefined
  /** For suggestions. */
  readonly names: readonly string[]
}

/** A message for each variable that has no value where it is used. */
export function undefinedVariables(instruction: Instruction, { escapeChar, lookup, names }: Variables): string[] {
  const missing = new Set<string>()
  for (const word of expandedWords(instruction))
    expandWord(word, { escapeChar, lookup, onUnset: name => missing.add(name) })
  return [...missing].map(name => `Usage of undefined variable '$${name}'${similar(name, names, '$')}`)
}

/** The words whose variables the builder replaces; those of RUN are the shell's. */
function expandedWords(instruction: Instruction): readonly string[] {
  switch (instruction.keyword) {
    case 'ENV':
    case 'LABEL':
      return instruction.pairs.flatMap(({ key, value }) => [key, value])
    case 'ARG':
      return instruction.args.flatMap(({ value }) => value ?? [])
    case 'EXPOSE':
    case 'VOLUME':
      return instruction.words
    case 'WORKDIR':
    case 'USER':
    case 'STOPSIGNAL':
      return [instruction.value]
    case 'COPY':
    case 'ADD': {
      const { sources, destination, chown = '', chmod = '' } = instruction
      return [...sources, destination, chown, chmod]
    }
    default:
      return []
  }
}

/** Checks of how words are written. */
import type { Dockerfile, Instruction, Stage } from '../language/dockerfile.ts'
import type { Finding, Rule } from './checks.ts'

export const casingRules: readonly Rule[] = [
  {
    name: 'StageNameCasing',
    description: 'Stage names should be lowercase',
    find: ({ stages }) =>
      stages.flatMap(({ text, location }) => {
        const name = writtenName(text)
        if (name === undefined || name === name.toLowerCase()) return []
        return [{ message: `Stage name '${name}' should be lowercase`, location }]
      }),
  },
  {
    name: 'FromAsCasing',
    description: "The 'as' keyword should match the case of the 'from' keyword",
    find: ({ stages }) =>
      stages.flatMap(({ text, location }) => {
        const [, from, as] = /^(\S+)\s[\s\S]*\s(as)\s+\S+\s*$/i.exec(text) ?? []
        if (from === undefined || as === undefined || isLower(from) === isLower(as)) return []
        return [{ message: `'${as}' and '${from}' keywords' casing do not match`, location }]
      }),
  },
  {
    name: 'ConsistentInstructionCasing',
    description: 'All commands within the Dockerfile should use the same casing (either upper or lower)',
    find: minorityCasing,
  },
  {
    name: 'NoEmptyContinuation',
    description: 'Empty continuation lines will become errors in a future release',
    find: emptyContinuations,
  },
]

function* minorityCasing(dockerfile: Dockerfile): Generator<Finding> {
  const written = everything(dockerfile).map(one => ({
    word: one.text.split(/\s/, 1)[0] ?? '',
    location: one.location,
  }))
  const upper = written.filter(({ word }) => word === word.toUpperCase()).length
  const lower = written.filter(({ word }) => isLower(word)).length
  const majority = lower > upper ? 'lowercase' : 'uppercase'
  for (const { word, location } of written)
    if (word !== (majority === 'lowercase' ? word.toLowerCase() : word.toUpperCase()))
      yield { message: `Command '${word}' should match the case of the command majority (${majority})`, location }
}

/** Here-documents' own lines are theirs. */
function* emptyContinuations(dockerfile: Dockerfile): Generator<Finding> {
  for (const { location } of everything(dockerfile).filter(one => !hasHeredocs(one))) {
    const lines = dockerfile.lines.slice(location.startLine - 1, location.endLine)
    const empty = lines.findIndex(line => line.trim() === '')
    const line = location.startLine + empty
    if (empty > 0) yield { message: 'Empty continuation line', location: { startLine: line, endLine: line } }
  }
}

function hasHeredocs(one: Instruction | Stage): boolean {
  if ('heredocs' in one) return one.heredocs.length > 0
  return 'keyword' in one && one.keyword === 'RUN' && one.command.form === 'shell' && one.command.heredocs.length > 0
}

/** Each instruction and FROM of the file. */
function everything({ globalArgs, stages }: Dockerfile): (Instruction | Stage)[] {
  return [...globalArgs, ...stages.flatMap(stage => [stage, ...stage.instructions])]
}

function writtenName(from: string): string | undefined {
  return /\sas\s+(\S+)\s*$/i.exec(from)?.[1]
}

function isLower(word: string): boolean {
  return word === word.toLowerCase()
}

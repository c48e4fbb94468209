/** A Dockerfile's text to {@link Dockerfile}. */
import { invalidArgument } from '#api/errors/errors.ts'
import { readDirectives } from './directives.ts'
import type { ArgInstruction, Dockerfile, Instruction, Stage } from './dockerfile.ts'
import { DockerfileError, type Location } from './location.ts'
import { logicalLines } from './logical-lines.ts'
import { type FromLine, readInstruction } from './read-instruction.ts'

/** Bytes a Dockerfile may have. */
export const dockerfileLimitBytes = 4 * 1024 * 1024

/**
 * Reads a whole Dockerfile. `file`: what messages call it. INVALID_ARGUMENT shows the line for what is not the
 * language: see {@link DockerfileError}.
 */
export function parseDockerfile(source: string, file = 'Dockerfile'): Dockerfile {
  if (source.length > dockerfileLimitBytes)
    throw invalidArgument(`${file} has ${source.length} bytes; at most ${dockerfileLimitBytes} are read`)
  const lines = source.replace(/^\uFEFF/, '').split(/\r?\n/)
  const directives = readDirectives(file, lines)
  const context = { file, lines, escapeChar: directives.escapeChar }
  const read = logicalLines(file, lines, directives.escapeChar).map(line => readInstruction(line, context))
  const firstFrom = read.findIndex(isFrom)
  const fail = (problem: string, location: Location) => new DockerfileError(problem, { file, lines, location })
  const before = firstFrom < 0 ? read : read.slice(0, firstFrom)
  const globalArgs = before.map((instruction): ArgInstruction => {
    if (instruction.keyword === 'ARG') return instruction
    throw fail(`no build stage in current context: ${instruction.keyword} before the first FROM`, instruction.location)
  })
  if (firstFrom < 0) throw invalidArgument(`${file}: file with no instructions: it needs a FROM`)
  const stages = stagesOf(read.slice(firstFrom))
  for (const stage of stages) {
    const twin = stages.find(other => other.name === stage.name && other.index < stage.index)
    if (stage.name !== undefined && twin !== undefined)
      throw fail(`duplicate name ${stage.name}: line ${twin.location.startLine} has it too`, stage.location)
  }
  return { directives, globalArgs, stages, lines, file }
}

/** An image's ONBUILD triggers, as instructions of the stage that builds on it. */
export function parseTrigger(trigger: string): Instruction {
  const lines = trigger.split('\n')
  const context = { file: 'ONBUILD', lines, escapeChar: '\\' }
  const [line, ...more] = logicalLines(context.file, lines, context.escapeChar)
  if (line === undefined || more.length > 0)
    throw invalidArgument(`ONBUILD trigger ${JSON.stringify(trigger)} is not one instruction`)
  const instruction = readInstruction(line, context)
  if (isFrom(instruction)) throw invalidArgument(`ONBUILD trigger ${JSON.stringify(trigger)}: FROM isn't allowed`)
  return instruction
}

function isFrom(line: Instruction | FromLine): line is FromLine {
  return line.keyword === 'FROM'
}

function stagesOf(read: readonly (Instruction | FromLine)[]): Stage[] {
  const stages: (Stage & { instructions: Instruction[] })[] = []
  for (const line of read) {
    if (isFrom(line)) {
      const { base, name, platform, location, text } = line
      stages.push({ index: stages.length, base, name, platform, location, text, instructions: [] })
    } else stages.at(-1)?.instructions.push(line)
  }
  return stages
}

/** Where something stands in a Dockerfile, and errors that show it. */
import { GantryError } from '#api/errors/errors.ts'

/** Lines of an instruction, counted from 1, both ends included. */
export interface Location {
  readonly startLine: number
  readonly endLine: number
}

export interface ErrorPlace {
  /** What the file is called in messages. */
  readonly file: string
  readonly lines: readonly string[]
  readonly location: Location
  /** The word at fault; the whole line when absent or not found. */
  readonly word?: string
}

/**
 * A Dockerfile that cannot be read or built as written; INVALID_ARGUMENT. The message opens as Docker's does and goes
 * on with the line and a caret:
 *
 * ```
 * dockerfile parse error on line 3: unknown instruction: RUNN (did you mean RUN?)
 * Dockerfile:3:1
 *   3 | RUNN make
 *     | ^^^^
 * ```
 */
export class DockerfileError extends GantryError {
  readonly location: Location

  constructor(problem: string, place: ErrorPlace) {
    const { startLine } = place.location
    super('INVALID_ARGUMENT', `dockerfile parse error on line ${startLine}: ${problem}\n${excerpt(place)}`)
    this.location = place.location
  }
}

/** The line with a caret below the word at fault. */
export function excerpt({ file, lines, location, word }: ErrorPlace): string {
  const { number, column, length } = find(lines, location, word)
  const label = String(number)
  const bar = `${' '.repeat(label.length + 2)} | ${' '.repeat(column)}${'^'.repeat(Math.max(1, length))}`
  return `${file}:${number}:${column + 1}\n  ${label} | ${lines[number - 1] ?? ''}\n${bar}`
}

function find(lines: readonly string[], { startLine, endLine }: Location, word: string | undefined) {
  for (let number = startLine; word !== undefined && word !== '' && number <= endLine; number++) {
    const column = lines[number - 1]?.indexOf(word) ?? -1
    if (column >= 0) return { number, column, length: word.length }
  }
  const line = lines[startLine - 1] ?? ''
  return { number: startLine, column: line.length - line.trimStart().length, length: line.trim().length }
}

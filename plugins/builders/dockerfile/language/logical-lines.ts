/**
 * From lines of a file to logical lines: one instruction each, with its continuations joined, the comments within it
 * gone and its here-documents read.
 */
import { type Heredoc, type HeredocOpening, heredocsOf } from './heredoc.ts'
import { DockerfileError, type Location } from './location.ts'

export interface LogicalLine {
  /** The instruction in one piece; here-documents' bodies not in it. */
  readonly text: string
  readonly heredocs: readonly Heredoc[]
  readonly location: Location
}

const takesHeredocs = /^\s*(?:onbuild\s+)?(?:run|copy|add)\s/i

/** INVALID_ARGUMENT for a here-document without an end. */
export function logicalLines(file: string, lines: readonly string[], escapeChar: string): LogicalLine[] {
  return [...new Reader(file, lines, escapeChar).all()]
}

class Reader {
  readonly #file: string
  readonly #lines: readonly string[]
  readonly #escapeChar: string
  readonly #continues: RegExp
  #next = 0

  constructor(file: string, lines: readonly string[], escapeChar: string) {
    this.#file = file
    this.#lines = lines
    this.#escapeChar = escapeChar
    // An escaped escape continues nothing.
    const mark = RegExp.escape(escapeChar)
    this.#continues = new RegExp(`(^|[^${mark}])${mark}[ \\t]*$`)
  }

  *all(): Generator<LogicalLine> {
    while (this.#next < this.#lines.length) {
      const line = this.#lines[this.#next] as string
      if (isNothing(line)) this.#next++
      else yield this.#logicalLine()
    }
  }

  #logicalLine(): LogicalLine {
    const startLine = this.#next + 1
    const text = this.#joined()
    const heredocs = takesHeredocs.test(text)
      ? heredocsOf(text, this.#escapeChar).map(opening => this.#heredoc(opening, startLine))
      : []
    return { text, heredocs, location: { startLine, endLine: this.#next } }
  }

  /** The lines up to the first that does not go on; comments and empty lines on the way are nothing. */
  #joined(): string {
    let text = ''
    for (let first = true; this.#next < this.#lines.length; first = false) {
      const line = this.#lines[this.#next++] as string
      if (isNothing(line)) continue
      const piece = first ? line.trimStart() : line
      const cut = piece.replace(this.#continues, '$1')
      text += cut
      if (cut === piece) break
    }
    return text.trimEnd()
  }

  #heredoc(opening: HeredocOpening, startLine: number): Heredoc {
    let content = ''
    while (this.#next < this.#lines.length) {
      const line = this.#lines[this.#next++] as string
      const shown = opening.chomp ? line.replace(/^\t+/, '') : line
      if (shown === opening.name) return { ...opening, content }
      content += `${shown}\n`
    }
    const location = { startLine, endLine: startLine }
    throw new DockerfileError(`unterminated heredoc: no line says ${JSON.stringify(opening.name)}`, {
      ...{ file: this.#file, lines: this.#lines, location, word: '<<' },
    })
  }
}

/** Empty, or a comment. */
function isNothing(line: string): boolean {
  return /^\s*(?:#|$)/.test(line)
}

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
  /** It goes on after an empty line, which Docker warns of. */
  readonly emptyContinuation: boolean
  /** Comments directly above, one line each, without the mark: a stage's or an argument's description. */
  readonly comments: readonly string[]
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
    let comments: string[] = []
    while (this.#next < this.#lines.length) {
      const line = this.#lines[this.#next] as string
      const comment = /^\s*#\s?(.*)$/.exec(line)
      if (comment !== null) {
        comments.push((comment[1] as string).trimEnd())
        this.#next++
      } else if (line.trim() === '') {
        comments = []
        this.#next++
      } else {
        yield this.#logicalLine(comments)
        comments = []
      }
    }
  }

  #logicalLine(comments: string[]): LogicalLine {
    const startLine = this.#next + 1
    const { text, emptyContinuation } = this.#joined()
    const heredocs = takesHeredocs.test(text)
      ? heredocsOf(text, this.#escapeChar).map(opening => this.#heredoc(opening, startLine))
      : []
    return { text, heredocs, location: { startLine, endLine: this.#next }, emptyContinuation, comments }
  }

  #joined() {
    let text = ''
    let emptyContinuation = false
    for (let first = true; this.#next < this.#lines.length; first = false) {
      const line = this.#lines[this.#next++] as string
      if (/^\s*#/.test(line)) continue
      if (line.trim() === '') {
        emptyContinuation = true
        continue
      }
      const piece = first ? line.trimStart() : line
      const cut = piece.replace(this.#continues, '$1')
      text += cut
      if (cut === piece) break
    }
    return { text: text.trimEnd(), emptyContinuation }
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

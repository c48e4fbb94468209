/** Here-documents: files and scripts written into the Dockerfile (`RUN <<EOF`, `COPY <<a <<-'b' /dir/`). */
import { splitWords } from './words.ts'

export interface Heredoc {
  /** The delimiter, which is also the file's name where COPY makes one. */
  readonly name: string
  /** File descriptor before `<<`, 0 when none is given. */
  readonly fd: number
  /** `<<-`: tabs that open a line are cut. */
  readonly chomp: boolean
  /** Variables are replaced within; quoting any of the delimiter turns that off. */
  readonly expand: boolean
  /** The lines between, each with its newline. */
  readonly content: string
}

export type HeredocOpening = Omit<Heredoc, 'content'>

/** Those a line opens, in order. */
export function heredocsOf(line: string, escapeChar: string): HeredocOpening[] {
  return splitWords(line, escapeChar).flatMap(word => {
    const opening = heredocOf(word, escapeChar)
    return opening === undefined ? [] : [opening]
  })
}

/** The one this word opens; `<<<` is the shell's own and none of ours. */
export function heredocOf(word: string, escapeChar: string): HeredocOpening | undefined {
  const [, fd, dash, delimiter] = /^(\d*)<<(-?)([^<]+)$/.exec(word) ?? []
  if (delimiter === undefined) return undefined
  const name = unquote(delimiter, escapeChar)
  if (name === '') return undefined
  return { name, fd: Number(fd === '' ? 0 : fd), chomp: dash === '-', expand: name === delimiter }
}

function unquote(word: string, escapeChar: string): string {
  let text = ''
  let quote = ''
  for (let at = 0; at < word.length; at++) {
    const char = word[at] as string
    if (char === quote) quote = ''
    else if (quote === '' && (char === '"' || char === "'")) quote = char
    else if (char === escapeChar && quote !== "'") text += word[++at] ?? ''
    else text += char
  }
  return text
}

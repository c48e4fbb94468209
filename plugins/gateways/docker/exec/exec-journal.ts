/**
 * Execs outlive the process that made them: a line is appended for each step, and the next gateway reads them. In the state
 * directory, as execs do not outlive the machine either.
 */
import { appendFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { ExecWish } from './body.ts'

/** What is known of an exec; each line holds what is new. */
export interface ExecEntry {
  id: string
  containerId?: string
  wish?: ExecWish
  /** Absent in what older gateways wrote. */
  attachSocket?: string
  /** Somebody asked for its start. */
  wasStarted?: boolean
  pid?: number
  exitCode?: number
  /** Forgotten: as if it had never been. */
  gone?: boolean
}

/** Past so many lines the file is written anew with what still counts. */
const maxLines = 4096

export class ExecJournal {
  readonly #path: string
  readonly #entries = new Map<string, ExecEntry>()
  #lines = 0

  /** Reads what an earlier gateway wrote. A last line that was cut short is left out. */
  constructor(path: string) {
    this.#path = path
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    for (const line of readLines(path)) this.#remember(line)
    this.#rewrite()
  }

  entries(): ExecEntry[] {
    return [...this.#entries.values()]
  }

  /** Survives the death of this process once it returns. */
  write(entry: ExecEntry): void {
    this.#remember(entry)
    if (++this.#lines > maxLines) this.#rewrite()
    else appendFileSync(this.#path, `${JSON.stringify(entry)}\n`, { mode: 0o600 })
  }

  #remember(entry: ExecEntry): void {
    if (entry.gone) this.#entries.delete(entry.id)
    else this.#entries.set(entry.id, { ...this.#entries.get(entry.id), ...entry })
  }

  #rewrite(): void {
    const lines = this.entries().map(entry => `${JSON.stringify(entry)}\n`)
    writeFileSync(`${this.#path}.new`, lines.join(''), { mode: 0o600 })
    renameSync(`${this.#path}.new`, this.#path)
    this.#lines = lines.length
  }
}

function readLines(path: string): ExecEntry[] {
  let text = ''
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
  }
  return text.split('\n').flatMap(line => {
    try {
      return line === '' ? [] : [JSON.parse(line) as ExecEntry]
    } catch {
      return []
    }
  })
}

/** `--chmod` of COPY and ADD: octal digits, or chmod(1)'s symbolic words (`u=rwX,go=rX`, `+x`, `g=u`). */
import { invalidArgument } from '#api/errors/errors.ts'
import type { Entry } from '../files/source-tree.ts'

/** What becomes of an entry's permission bits. */
export type ModeChange = (entry: Pick<Entry, 'type' | 'mode'>) => number

const shifts: Readonly<Record<string, number>> = { u: 6, g: 3, o: 0 }
const permissionBits: Readonly<Record<string, number>> = { r: 4, w: 2, x: 1 }
const sticky = 0o1000

/** INVALID_ARGUMENT for what is neither. Nothing is masked: a build has no umask. */
export function readMode(text: string): ModeChange {
  if (/^[0-7]{1,4}$/.test(text)) return () => Number.parseInt(text, 8)
  const clauses = text.split(',').map(clause => readClause(text, clause))
  return entry => clauses.reduce((mode, change) => change(mode, entry.type === 'directory'), entry.mode)
}

type Clause = (mode: number, isDirectory: boolean) => number

function readClause(text: string, clause: string): Clause {
  const [, who = '', actions = ''] = /^([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)$/.exec(clause) ?? []
  if (actions === '')
    throw invalidArgument(`invalid --chmod "${text}": it takes octal digits such as 0755, or words such as u=rwX,go=rX`)
  const classes = who === '' || who.includes('a') ? ['u', 'g', 'o'] : [...new Set(who)]
  const changes = [...actions.matchAll(/([-+=])([rwxXst]*|[ugo])(?=[-+=]|$)/g)].map(
    ([, operator = '', what = '']): Clause =>
      (mode, isDirectory) => {
        const { bits, touched } = bitsOf(mode, { classes, what, isDirectory })
        if (operator === '+') return mode | bits
        return operator === '-' ? mode & ~bits : (mode & ~touched) | bits
      },
  )
  return (mode, isDirectory) => changes.reduce((now, change) => change(now, isDirectory), mode)
}

interface Wanted {
  readonly classes: readonly string[]
  readonly what: string
  readonly isDirectory: boolean
}

/** The bits that `what` means to those classes, and all the bits that `=` sets anew. */
function bitsOf(mode: number, { classes, what, isDirectory }: Wanted): { bits: number; touched: number } {
  const from = shifts[what]
  const permissions = from === undefined ? lettersOf(what, mode, isDirectory) : (mode >> from) & 7
  let bits = what.includes('t') ? sticky : 0
  let touched = classes.length === 3 ? sticky : 0
  for (const each of classes) {
    const shift = shifts[each] ?? 0
    const setID = each === 'u' ? 0o4000 : each === 'g' ? 0o2000 : 0
    bits |= (permissions << shift) | (what.includes('s') ? setID : 0)
    touched |= (7 << shift) | setID
  }
  return { bits, touched }
}

/** `X`: execution, where it is a directory or somebody may execute it already. */
function lettersOf(what: string, mode: number, isDirectory: boolean): number {
  const letters = [...what].reduce((sum, letter) => sum | (permissionBits[letter] ?? 0), 0)
  return what.includes('X') && (isDirectory || (mode & 0o111) !== 0) ? letters | 1 : letters
}

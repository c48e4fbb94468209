/** Tables for people, JSON for programs: a list of records printed in one of both forms. */
import Table from 'cli-table3'
import { printJson } from './json.ts'

/** Column title → what a record shows there. */
export type Columns<T> = Readonly<Record<string, (record: T) => string | number>>

const bare = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '   ',
}

/** Prints records: with `json` an array of the records themselves, else aligned columns under upper-case titles. */
export function printRecords<T>(records: readonly T[], columns: Columns<T>, json: boolean): void {
  if (json) {
    printJson(records)
    return
  }
  const table = new Table({
    head: Object.keys(columns),
    chars: bare,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
  })
  for (const record of records) table.push(Object.values(columns).map(column => String(column(record))))
  console.log(table.toString().replace(/ +$/gm, ''))
}

/** One a line, for `--quiet`. */
export function printLines(lines: readonly string[]): void {
  for (const line of lines) console.log(line)
}

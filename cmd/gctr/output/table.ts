/** Tables for people, JSON for programs: a list of records printed in one of both forms. */
import Table from 'cli-table3'
import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'
import { formatTime } from './units.ts'

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

/** Indented JSON; bigints as numbers where they fit, bytes as base64, times as RFC 3339. */
export function printJson(value: unknown): void {
  console.log(JSON.stringify(value, jsonValue, 2))
}

/** One line of JSON, for streams. */
export function printJsonLine(value: unknown): void {
  console.log(toJson(value))
}

/** The same, as text. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, jsonValue)
}

function jsonValue(this: unknown, key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString()
  // Buffer.toJSON has run already: look at the original.
  const original = (this as Record<string, unknown>)[key]
  if (original instanceof Uint8Array) return Buffer.from(original).toString('base64')
  return isTimestamp(value) ? formatTime(value) : value
}

function isTimestamp(value: unknown): value is Timestamp {
  return (
    typeof value === 'object' &&
    value !== null &&
    'seconds' in value &&
    'nanos' in value &&
    Object.keys(value).length === 2
  )
}

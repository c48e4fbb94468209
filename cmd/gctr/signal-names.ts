/** Signals by name or number. */
import { constants } from 'node:os'
import { invalidArgument } from '#api/errors/errors.ts'

/** `SIGTERM`, `term`, `15`. INVALID_ARGUMENT names the text. */
export function signalNumber(text: string): number {
  if (/^\d+$/.test(text)) return Number(text)
  const name = text.toUpperCase().startsWith('SIG') ? text.toUpperCase() : `SIG${text.toUpperCase()}`
  const number = Object.entries(constants.signals).find(([known]) => known === name)?.[1]
  if (number === undefined)
    throw invalidArgument(`signal "${text}" is not known; use a name such as SIGTERM, or a number`)
  return number
}

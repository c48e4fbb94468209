/** Signals by name or number, as signal(7) numbers them on Linux (x86 and ARM). */
import { constants } from 'node:os'
import { badRequest } from '../http/http-error.ts'

const realTimeFirst = 34
const realTimeLast = 64

/** "KILL", "SIGKILL", "9", "RTMIN+3". 400: `Invalid signal: …`. */
export function parseSignal(text: string): number {
  if (/^\d+$/.test(text)) {
    const number = Number(text)
    if (number >= 1 && number <= realTimeLast) return number
    if (number === 0) throw badRequest(`Invalid signal: ${text}`)
    throw badRequest(`the linux daemon does not support signal ${text}`)
  }
  const name = text.toUpperCase().replace(/^SIG/, '')
  const [, base, sign, offset = '0'] = /^(RTMIN|RTMAX)(?:([+-])(\d+))?$/.exec(name) ?? []
  if (base !== undefined) {
    const number = (base === 'RTMIN' ? realTimeFirst : realTimeLast) + (sign === '-' ? -1 : 1) * Number(offset)
    if (number >= realTimeFirst && number <= realTimeLast) return number
  }
  const known = (constants.signals as Record<string, number>)[`SIG${name}`]
  if (known === undefined) throw badRequest(`Invalid signal: ${text}`)
  return known
}

export const SIGKILL = 9
export const SIGTERM = 15

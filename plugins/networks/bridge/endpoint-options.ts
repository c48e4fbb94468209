/** Options of one attachment. */
import { invalidArgument } from '#api/errors/errors.ts'
import { egressOption, readEgress } from './egress/egress-list.ts'

export const endpointOptionKeys = {
  rateIn: 'gantry.network.rate.in',
  rateOut: 'gantry.network.rate.out',
  egress: egressOption,
} as const

export interface RateLimits {
  /** Bits in a second, towards the container; undefined: no limit. */
  readonly in: number | undefined
  readonly out: number | undefined
}

const scales: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9 }
const lowestRate = 8_000
const highestRate = 100e9

export type EndpointOptions = Readonly<Record<string, string>>

/** As they are. INVALID_ARGUMENT names a key with a bad value. */
export function checkedOptions(options: EndpointOptions): EndpointOptions {
  rateLimits(options)
  readEgress(options)
  return options
}

export function rateLimits(options: EndpointOptions = {}): RateLimits {
  return { in: rate(options, endpointOptionKeys.rateIn), out: rate(options, endpointOptionKeys.rateOut) }
}

/** `10mbit`, `10m`, `10000000`: bits, in powers of ten. */
function rate(options: EndpointOptions, key: string): number | undefined {
  const text = options[key]
  if (text === undefined || text === '') return undefined
  const [, number, scale = ''] = /^(\d+(?:\.\d+)?)([kmg]?)(?:bit)?$/i.exec(text) ?? []
  const bits = Math.round(Number(number) * (scales[scale.toLowerCase()] ?? Number.NaN))
  if (bits >= lowestRate && bits <= highestRate) return bits
  throw invalidArgument(`options: ${key} "${text}" is no rate between 8kbit and 100gbit, such as 10mbit`)
}

/** The options of the fluentd driver. */

import { isGantryError, messageOf } from '#api/errors/errors.ts'
import {
  checkPort,
  hostAndPort,
  type LogOptions,
  parseCount,
  parseDurationMs,
  parseFlag,
  parseSize,
  refused,
} from './option-values.ts'

export const fluentdOptionNames = [
  'fluentd-address',
  'fluentd-async',
  'fluentd-async-connect',
  'fluentd-async-reconnect-interval',
  'fluentd-buffer-limit',
  'fluentd-max-retries',
  'fluentd-request-ack',
  'fluentd-retry-wait',
  'fluentd-sub-second-precision',
]

export interface FluentdSettings {
  target: { path: string } | { host: string; port: number; isTls: boolean }
  /** Each message is confirmed before the next is sent. */
  requestAck: boolean
  subSecond: boolean
  /** Before the next try. */
  retryWaitMs: number
}

const defaultRetryWaitMs = 1000
const defaultAddress = { host: '127.0.0.1', port: 24_224, isTls: false }

/** INVALID_ARGUMENT in Docker's words. */
export function parseFluentdOptions(options: LogOptions): FluentdSettings {
  const given = <T>(name: string, parse: (text: string) => T) =>
    options[name] === undefined || options[name] === '' ? undefined : parse(options[name])
  if (options['fluentd-async'] && options['fluentd-async-connect'])
    throw refused("conflicting options: cannot specify both 'fluentd-async' and 'fluentd-async-connect")
  for (const name of ['fluentd-async', 'fluentd-async-connect']) given(name, parseFlag)
  given('fluentd-buffer-limit', parseSize)
  given('fluentd-max-retries', parseCount)
  given('fluentd-async-reconnect-interval', parseDurationMs)
  return {
    target: targetOf(options['fluentd-address'] ?? ''),
    requestAck: given('fluentd-request-ack', parseFlag) ?? false,
    subSecond: given('fluentd-sub-second-precision', parseFlag) ?? false,
    retryWaitMs: given('fluentd-retry-wait', parseDurationMs) ?? defaultRetryWaitMs,
  }
}

function targetOf(address: string): FluentdSettings['target'] {
  if (address === '') return defaultAddress
  const [, scheme = 'tcp', rest = address] = /^([a-z]+):\/\/(.*)$/.exec(address) ?? []
  if (scheme === 'unix') return { path: rest }
  if (scheme !== 'tcp' && scheme !== 'tls')
    throw refused(`invalid fluentd-address ${address}: address ${address}: too many colons in address`)
  try {
    checkPort(address)
  } catch (error) {
    throw isGantryError(error) ? refused(`invalid fluentd-address ${address}: ${messageOf(error)}`) : error
  }
  const { host, port = defaultAddress.port } = hostAndPort(rest.replace(/\/.*$/, ''))
  return { host: host || defaultAddress.host, port, isTls: scheme === 'tls' }
}

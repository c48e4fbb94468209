/** `--log-driver` and `--log-opt`. */
import type { Log } from '#api/gen/gantry/services/containers/v1/containers.ts'
import type { Input } from '#api/rpc/definition.ts'
import { badRequest, notImplemented } from '../../http/http-error.ts'
import type { HostConfig } from './body.ts'

type LogConfig = HostConfig['LogConfig']

/** Docker's of the `local` driver. */
const localDefaults = { maxSizeBytes: 20n * 1024n * 1024n, maxFiles: 5 }

/** Known to Docker, not to us yet. */
const laterDrivers = ['journald', 'syslog', 'fluentd', 'gelf', 'awslogs', 'splunk', 'gcplogs', 'logentries', 'etwlogs']

/** 400 for a driver that nobody knows; 501 for one of Docker's that we do not have. */
export function logWish(config: LogConfig): Input<Log> {
  const { Type = '', Config } = config ?? {}
  const options = Config ?? {}
  if (Type === 'none') return { driver: 'none' }
  if (laterDrivers.includes(Type))
    throw notImplemented(`log driver "${Type}" is not implemented: use json-file, local or none`)
  if (!['', 'json-file', 'local'].includes(Type))
    throw badRequest(`logger: no log driver named '${Type}' is registered`)
  const size = sizeOf(options['max-size'])
  const files = filesOf(options['max-file'])
  if (files !== undefined && files > 1 && size === undefined && Type !== 'local')
    throw badRequest('max-file cannot be specified without max-size')
  const defaults = Type === 'local' ? localDefaults : { maxSizeBytes: 0n, maxFiles: 1 }
  return { driver: 'json-file', maxSizeBytes: size ?? defaults.maxSizeBytes, maxFiles: files ?? defaults.maxFiles }
}

const units: Record<string, bigint> = { '': 1n, b: 1n, k: 1024n, m: 1024n ** 2n, g: 1024n ** 3n, t: 1024n ** 4n }

/** "10m", "1gb"; undefined: no limit. 400 in Docker's words. */
export function sizeOf(text: string | undefined): bigint | undefined {
  if (text === undefined || text === '-1') return undefined
  const [, digits, unit = ''] = /^(\d+)\s*([bkmgt]?)b?$/i.exec(text) ?? []
  if (digits === undefined) throw badRequest(`invalid size: '${text}'`)
  return BigInt(digits) * (units[unit.toLowerCase()] ?? 1n)
}

function filesOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d+$/.test(text) || Number(text) < 1) throw badRequest(`max-file cannot be less than 1`)
  return Number(text)
}

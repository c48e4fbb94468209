/** `--log-driver` and `--log-opt`. */
import type { Log } from '#api/gen/gantry/services/containers/v1/containers.ts'
import { builtInLogDrivers, cacheLimits, checkLogOptions, forwards } from '#api/log-drivers/drivers.ts'
import type { Input } from '#api/rpc/definition.ts'
import { DockerPlugins } from '#sdk/docker-plugins/plugins.ts'
import { badRequest } from '../../http/http-error.ts'
import type { HostConfig } from './body.ts'

type LogConfig = HostConfig['LogConfig']
type Options = Readonly<Record<string, string>>

/** 400 for a driver that is neither ours nor a plugin's. */
export async function checkLogDriver(config: LogConfig, pluginFolders: readonly string[]): Promise<void> {
  const name = config?.Type || 'json-file'
  if (builtInLogDrivers.includes(name)) return
  await using plugins = new DockerPlugins(pluginFolders)
  if (await plugins.find(name, 'LogDriver')) return
  throw badRequest(`error looking up logging plugin ${name}: plugin "${name}" not found`)
}

/** 400 in Docker's words for options that are none. `image`: what messages call it. */
export function logWish(config: LogConfig, image: { name: string; id: string }): Input<Log> {
  const driver = config?.Type || 'json-file'
  const options = config?.Config ?? {}
  checkLogOptions(driver, options)
  if (driver === 'none') return { driver }
  const limits = forwards(driver) ? cacheOf(options) : limitsOf(driver, options)
  return { driver, options, ...limits, imageName: image.name, imageId: image.id }
}

interface Limits {
  maxSizeBytes: bigint
  maxFiles: number
}

function limitsOf(driver: string, options: Options): Limits {
  const size = sizeOf(options['max-size'])
  const files = filesOf(options['max-file'])
  if (files !== undefined && files > 1 && size === undefined && driver !== 'local')
    throw badRequest('max-file cannot be specified without max-size')
  const defaults = driver === 'local' ? cacheLimits : { maxSizeBytes: 0n, maxFiles: 1 }
  return { maxSizeBytes: size ?? defaults.maxSizeBytes, maxFiles: files ?? defaults.maxFiles }
}

/** The file of a driver that forwards: one alone could not be read while it is replaced. */
function cacheOf(options: Options): Limits {
  return {
    maxSizeBytes: sizeOf(options['cache-max-size']) ?? cacheLimits.maxSizeBytes,
    maxFiles: Math.max(2, filesOf(options['cache-max-file']) ?? cacheLimits.maxFiles),
  }
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

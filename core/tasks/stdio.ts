/** The `gantry://` form of standard streams: an attach socket and a log, both the shim's. */
import type { ContainerConfig } from '#api/gen/gantry/services/containers/v1/containers.ts'
import { bufferBytes, cacheLimits, forwards, lineAttributes, namesAttributes } from '#api/log-drivers/drivers.ts'
import type { LogSubject } from '#api/log-drivers/subject.ts'
import type { Places } from '#core/launch/launch.ts'
import { driverFollower, noteIn } from '#core/logs/logs.ts'

const noLimits = { maxSizeBytes: 0n, maxFiles: 0 }

/** For the first process of a launched container. `subject`: what its log lines say of it. */
export function containerStdout(config: ContainerConfig, places: Places, subject?: () => LogSubject): string {
  const { driver = '', options = {} } = config.log ?? {}
  const { maxSizeBytes, maxFiles } =
    config.log?.maxSizeBytes || !forwards(driver) ? (config.log ?? noLimits) : cacheLimits
  const query = new URLSearchParams()
  if (driver !== 'none') query.set('log', places.logFile)
  const buffer = bufferBytes(options)
  const attributes = subject && namesAttributes(options) ? lineAttributes(options, subject()) : undefined
  if (buffer !== undefined) query.set('buffer', String(buffer))
  if (attributes) query.set('attrs', JSON.stringify(attributes))
  if (forwards(driver)) query.set('reader', noteIn(places.directory, driverFollower))
  if (maxSizeBytes > 0n) query.set('max-size', String(maxSizeBytes))
  if (maxFiles > 0) query.set('max-file', String(maxFiles))
  query.set('stdin', config.process?.stdin || 'none')
  return uri(places.attachSocket(''), query)
}

/** For an exec: no log; its standard input ends when the client that may write to it leaves. */
export function execStdout(places: Places, execId: string): string {
  return uri(places.attachSocket(execId), new URLSearchParams({ stdin: 'once' }))
}

function uri(socket: string, query: URLSearchParams): string {
  return `gantry://${socket.split('/').map(encodeURIComponent).join('/')}?${query}`
}

/** The `gantry://` form of standard streams: an attach socket and a log, both the shim's. */
import type { ContainerConfig } from '#api/gen/gantry/services/containers/v1/containers.ts'
import type { Places } from '#core/launch/launch.ts'

/** For the first process of a launched container. */
export function containerStdout(config: ContainerConfig, places: Places): string {
  const { driver = '', maxSizeBytes = 0n, maxFiles = 0 } = config.log ?? {}
  const query = new URLSearchParams()
  if (driver !== 'none') query.set('log', places.logFile)
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

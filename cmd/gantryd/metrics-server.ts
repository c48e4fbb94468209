/** Prometheus' metrics over HTTP: containerd's path, on an address of the configuration. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { invalidArgument } from '#api/errors/errors.ts'

const path = '/v1/metrics'

/** What is asked for its text with each scrape. */
interface Source {
  readonly contentType: string
  metrics(): Promise<string>
}

/** Serves until disposed of. `address` is `host:port`; INVALID_ARGUMENT when it is not. */
export async function serveMetrics(address: string, source: Source): Promise<AsyncDisposable> {
  const [, host = '', port = ''] = /^(.+):(\d+)$/.exec(address) ?? []
  if (port === '') throw invalidArgument(`metrics.address "${address}" is not host:port`)
  const server = createServer(async (request, response) => {
    if (request.method !== 'GET' || request.url?.split('?')[0] !== path) {
      response.writeHead(404).end(`metrics are at ${path}\n`)
      return
    }
    try {
      const text = await source.metrics()
      response.writeHead(200, { 'content-type': source.contentType }).end(text)
    } catch {
      response.writeHead(500).end()
    }
  })
  server.listen({ host: host.replace(/^\[|\]$/g, ''), port: Number(port) })
  await once(server, 'listening')
  return {
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

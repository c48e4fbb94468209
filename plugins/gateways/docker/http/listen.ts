/** TCP beside the Unix socket: over TLS, to clients with a certificate that our authority signed. */
import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:https'
import type { FastifyInstance } from 'fastify'
import { invalidArgument } from '#api/errors/errors.ts'
import { acceptUpgrades } from './upgrade.ts'

export interface TlsFiles {
  /** PEM: who signed the clients' certificates. */
  ca: string
  certificate: string
  key: string
}

/** Listening on `HOST:PORT` when it resolves; INVALID_ARGUMENT names what cannot be read or parsed. */
export async function listenOnTcp(app: FastifyInstance, address: string, files: TlsFiles): Promise<Server> {
  const { host, port } = parseAddress(address)
  const [ca, cert, key] = await Promise.all([files.ca, files.certificate, files.key].map(readPem))
  const server = createServer(
    // A client that has nothing more to say goes on listening: so it is on the socket.
    { ca, cert, key, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.2', allowHalfOpen: true },
    (request, response) => app.routing(request, response),
  )
  server.requestTimeout = 0
  server.keepAliveTimeout = 0
  server.timeout = 0
  acceptUpgrades(server, app)
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen(port, host, resolve)
  await promise
  return server
}

function parseAddress(address: string): { host: string; port: number } {
  const [, bracketed, plain, port = ''] = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(address) ?? []
  if (port === '' || Number(port) > 65_535) throw invalidArgument(`tcp_address "${address}" is not HOST:PORT`)
  return { host: bracketed ?? plain ?? '', port: Number(port) }
}

async function readPem(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw invalidArgument(`"${path}" of the TLS settings of the Docker gateway cannot be read`, { cause })
  }
}

/** The HTTP server: versions, headers, errors. Knows no noun. */
import { createServer, type IncomingMessage, type Server } from 'node:http'
import fastify, { type FastifyInstance } from 'fastify'
import type { Logger } from '#api/log/log.ts'
import { worked } from '#api/memory/settling.ts'
import { type ApiVersion, checkVersion, splitVersion } from './api-version.ts'
import { describeError } from './http-error.ts'
import { acceptUpgrades } from './upgrade.ts'
import './routes.ts'

export interface ServerOptions {
  /** What `_ping` and every answer announce. */
  apiVersion: ApiVersion
  /** Of the engine, for the `Server` header. */
  version: string
  log: Logger
}

/** Docker takes requests with megabytes of headers. */
const maxHeaderBytes = 10 * 1024 * 1024

const versionKey = Symbol('API version of the path')
type Versioned = IncomingMessage & { [versionKey]?: string | undefined }

/** A server without routes. It sets no limit on the length of a call: `wait` and `events` last for days. */
export function createHttpServer({ apiVersion, version, log }: ServerOptions): FastifyInstance {
  const app = fastify({
    serverFactory: handler => untimed(createServer({ maxHeaderSize: maxHeaderBytes }, handler)),
    rewriteUrl(request) {
      const split = splitVersion(request.url ?? '/')
      ;(request as Versioned)[versionKey] = split.version
      return split.url
    },
    exposeHeadRoutes: false,
    forceCloseConnections: true,
    bodyLimit: Number.MAX_SAFE_INTEGER,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 4096 },
  })
  acceptUpgrades(app.server, app)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  app.decorateRequest('apiVersion', apiVersion)
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({
      'Api-Version': apiVersion,
      'Docker-Experimental': 'false',
      Ostype: 'linux',
      Server: `Docker/${version} (linux)`,
    })
    const asked = (request.raw as Versioned)[versionKey]
    request.apiVersion = asked === undefined ? apiVersion : checkVersion(asked)
  })
  // The docker command compares this header with its bare form.
  app.addHook('onSend', async (_request, reply) => {
    if (reply.getHeader('content-type') === 'application/json; charset=utf-8')
      reply.header('content-type', 'application/json')
  })
  app.addHook('onResponse', async () => worked())
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ message: 'page not found' }))
  app.setErrorHandler((error, request, reply) => {
    const { status, message, isOurs } = describeError(error)
    if (!isOurs) log.error({ err: error, method: request.method, path: request.url }, 'a request failed')
    if (status === 304) return reply.code(304).send()
    return reply.code(status).send({ message })
  })
  return app
}

function untimed(server: Server): Server {
  server.requestTimeout = 0
  server.headersTimeout = 60_000
  server.keepAliveTimeout = 0
  server.timeout = 0
  return server
}

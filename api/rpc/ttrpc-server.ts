/** ttrpc, server side: where shims hand in their events. */
import { chmod, mkdir, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { errorTable, GantryError, isGantryError, messageOf, notImplemented } from '../errors/errors.ts'
import type { Logger } from '../log/log.ts'
import { peerCredentials } from '../sys/sys.ts'
import { callContext } from './context.ts'
import { decodedRequest } from './decoded-request.ts'
import {
  type CallContext,
  type MethodDefinition,
  namespaceHeader,
  type ServiceDefinition,
  type ServiceImpl,
} from './definition.ts'
import { ttrpcNamespaceKey } from './ttrpc-client.ts'
import {
  decodeRequest,
  encodeFrame,
  encodeResponse,
  messageType,
  type TtrpcFrame,
  TtrpcFrameReader,
  type TtrpcRequest,
  type TtrpcResponse,
} from './ttrpc-wire.ts'

/** A ttrpc server on a unix socket: add services, then listen. Callers must be of our own uid, or root (SO_PEERCRED). */
export interface TtrpcServer {
  add<D extends ServiceDefinition>(definition: D, implementation: ServiceImpl<D>): void
  /** A stale socket file is replaced; the new one has mode 0600. */
  listen(path: string): Promise<void>
  /** Closes the socket and every connection. */
  close(): Promise<void>
}

// biome-ignore lint/suspicious/noExplicitAny: the types of a table's methods are erased here and checked in ServiceImpl
type AnyHandler = (request: any, context: CallContext) => Promise<any>

interface Route {
  method: MethodDefinition
  handler: AnyHandler
}

/** A server without services. */
export function createTtrpcServer({ logger }: { logger: Logger }): TtrpcServer {
  const routes = new Map<string, Route>()
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    if (!admit(socket, logger)) return
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    serve(socket, routes, logger)
  })
  return {
    add: (definition, implementation) => addRoutes(routes, definition, implementation),
    listen: path => listen(server, path),
    close: () => close(server, sockets),
  }
}

function addRoutes(routes: Map<string, Route>, definition: ServiceDefinition, implementation: object): void {
  for (const [key, method] of Object.entries(definition.methods)) {
    const handler: AnyHandler | undefined = Reflect.get(implementation, key)
    if (handler) routes.set(`${definition.fullName}/${method.name}`, { method, handler: handler.bind(implementation) })
  }
}

function admit(socket: Socket, logger: Logger): boolean {
  const { uid } = peerCredentials((socket as unknown as { _handle: { fd: number } })._handle.fd)
  if (uid === 0 || uid === process.getuid?.()) return true
  logger.warn({ uid }, 'refused a ttrpc connection of another user')
  socket.destroy()
  return false
}

function serve(socket: Socket, routes: Map<string, Route>, logger: Logger): void {
  const frames = new TtrpcFrameReader()
  const gone = new AbortController()
  socket.on('error', error => logger.debug({ err: error }, 'ttrpc connection broke'))
  socket.on('close', () => gone.abort(new GantryError('CANCELED', 'the client is gone')))
  socket.on('data', chunk => {
    try {
      for (const frame of frames.push(chunk)) {
        // Begun in the order they came, so that a shim's events do not overtake each other, and then each on its own.
        if (frame.type === messageType.request) void answer(socket, frame, routes, gone.signal, logger)
      }
    } catch (error) {
      logger.warn({ err: error }, 'closed a ttrpc connection that does not keep to the protocol')
      socket.destroy()
    }
  })
}

async function answer(
  socket: Socket,
  frame: TtrpcFrame,
  routes: Map<string, Route>,
  signal: AbortSignal,
  logger: Logger,
): Promise<void> {
  const response = await respond(frame, routes, signal, logger)
  if (!socket.destroyed) socket.write(responseFrame(frame.streamId, response, logger))
}

/** An answer too long for ttrpc becomes the error that says so. */
function responseFrame(streamId: number, response: TtrpcResponse, logger: Logger): Buffer {
  try {
    return encodeFrame(streamId, messageType.response, encodeResponse(response))
  } catch (error) {
    const refusal = { status: statusOf(error, logger), payload: Buffer.alloc(0) }
    return encodeFrame(streamId, messageType.response, encodeResponse(refusal))
  }
}

async function respond(
  frame: TtrpcFrame,
  routes: Map<string, Route>,
  signal: AbortSignal,
  logger: Logger,
): Promise<TtrpcResponse> {
  try {
    const request = decodeRequest(frame.payload)
    const name = `${request.service}/${request.method}`
    const route = routes.get(name)
    if (!route) throw notImplemented(`ttrpc method ${name}`)
    const { requestType, responseType } = route.method
    const result = await route.handler(decodedRequest(requestType, request.payload), contextOf(request, signal))
    return { payload: responseType.encode(responseType.fromPartial(result)).finish() }
  } catch (error) {
    return { status: statusOf(error, logger), payload: Buffer.alloc(0) }
  }
}

function contextOf(request: TtrpcRequest, signal: AbortSignal): CallContext {
  return callContext(
    () => signal,
    name => {
      const key = name === namespaceHeader ? ttrpcNamespaceKey : name
      return request.metadata.find(([candidate]) => candidate === key)?.[1]
    },
  )
}

function statusOf(error: unknown, logger: Logger): NonNullable<TtrpcResponse['status']> {
  if (isGantryError(error)) return { code: errorTable[error.code].grpc, message: error.message, details: [] }
  logger.error({ err: error }, 'a ttrpc call failed in an unforeseen way')
  return { code: errorTable.INTERNAL.grpc, message: `${messageOf(error)}: internal`, details: [] }
}

async function listen(server: Server, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await rm(path, { force: true })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen(path, () => resolve())
  await promise
  await chmod(path, 0o600)
}

function close(server: Server, sockets: Set<Socket>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  server.close(() => resolve())
  for (const socket of sockets) socket.destroy()
  return promise
}

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
import { isTraced, openTracedCall, type ServerTracing } from './server-tracing.ts'
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

/** What every call of a server needs. */
interface Serving {
  routes: Map<string, Route>
  logger: Logger
  tracing: ServerTracing | undefined
}

/** A server without services. */
export function createTtrpcServer({ logger, tracing }: { logger: Logger; tracing?: ServerTracing }): TtrpcServer {
  const routes = new Map<string, Route>()
  const serving = { routes, logger, tracing }
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    if (!admit(socket, logger)) return
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    serve(socket, serving)
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

function serve(socket: Socket, serving: Serving): void {
  const { logger } = serving
  const frames = new TtrpcFrameReader()
  const gone = new AbortController()
  socket.on('error', error => logger.debug({ err: error }, 'ttrpc connection broke'))
  socket.on('close', () => gone.abort(new GantryError('CANCELED', 'the client is gone')))
  socket.on('data', chunk => {
    try {
      for (const frame of frames.push(chunk)) {
        // Begun in the order they came, so that a shim's events do not overtake each other, and then each on its own.
        if (frame.type === messageType.request) void answer(socket, frame, serving, gone.signal)
      }
    } catch (error) {
      logger.warn({ err: error }, 'closed a ttrpc connection that does not keep to the protocol')
      socket.destroy()
    }
  })
}

async function answer(socket: Socket, frame: TtrpcFrame, serving: Serving, signal: AbortSignal): Promise<void> {
  const response = await respond(frame, serving, signal)
  if (!socket.destroyed) socket.write(responseFrame(frame.streamId, response, serving.logger))
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
  { routes, logger, tracing }: Serving,
  signal: AbortSignal,
): Promise<TtrpcResponse> {
  try {
    const request = decodeRequest(frame.payload)
    const name = `${request.service}/${request.method}`
    const route = routes.get(name)
    if (!route) throw notImplemented(`ttrpc method ${name}`)
    const { requestType, responseType } = route.method
    const context = contextOf(request, signal)
    const handle = async () => {
      const result = await route.handler(decodedRequest(requestType, request.payload), context)
      return { payload: responseType.encode(responseType.fromPartial(result)).finish() }
    }
    if (tracing === undefined || !isTraced(tracing, context.header)) return await handle()
    return await traced(tracing, context, name, handle)
  } catch (error) {
    return { status: statusOf(error, logger), payload: Buffer.alloc(0) }
  }
}

/** ttrpc's answers have no metadata: spans only go to a sink of the server's. */
async function traced<T>(
  tracing: ServerTracing,
  { header }: CallContext,
  rpc: string,
  handle: () => Promise<T>,
): Promise<T> {
  const call = await openTracedCall(tracing, header, rpc)
  try {
    const answer = await call.run(handle)
    call.end({ grpc: 0, message: '' })
    return answer
  } catch (error) {
    call.end({ grpc: errorTable.UNKNOWN.grpc, message: messageOf(error) })
    throw error
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

/**
 * gRPC servers over node:http2 (docs/adr/0008): services are `async (request, context)`, and errors become statuses: a
 * {@link GantryError} keeps its code, anything else is INTERNAL with a log line, never a stack.
 */
import { chmod, mkdir, rm } from 'node:fs/promises'
import {
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { errorTable, GantryError, isGantryError, messageOf } from '../errors/errors.ts'
import type { Logger } from '../log/log.ts'
import { worked } from '../memory/settling.ts'
import { currentScope, step } from '../trace/spans.ts'
import { CallsInFlight } from './calls-in-flight.ts'
import { decodedRequest } from './decoded-request.ts'
import {
  type CallContext,
  type Codec,
  defaultMaxMessageBytes,
  type MethodDefinition,
  type ServiceDefinition,
  type ServiceImpl,
} from './definition.ts'
import { ServerCall, type Status } from './server-call.ts'
import { isTraced, openTracedCall, type ServerTracing } from './server-tracing.ts'

export type { CallContext, ServiceImpl } from './definition.ts'
export type { ServerTracing } from './server-tracing.ts'

export interface RpcServerOptions {
  logger: Logger
  /** Default 16 MiB. */
  maxMessageBytes?: number
  /** Absent: no call is traced. */
  tracing?: ServerTracing
}

export interface ListenOptions {
  /** Mode of the socket file; default 0600. */
  mode?: number
}

/** A gRPC server on unix sockets: add services, then listen. */
export interface RpcServer {
  add<D extends ServiceDefinition>(definition: D, implementation: ServiceImpl<D>): void
  /** Listens on an absolute path (with or without `unix:`); a stale socket file is replaced, its folder made (0700). */
  listen(address: string, options?: ListenOptions): Promise<void>
  /** Refuses new calls, waits `graceMs` for those in flight, then cancels them. */
  shutdown(graceMs: number): Promise<void>
}

// biome-ignore lint/suspicious/noExplicitAny: the types of a table's methods are erased here and checked in ServiceImpl
type AnyHandler = (request: any, context: CallContext) => any

interface Route {
  /** `package.Service/Method`. */
  rpc: string
  method: MethodDefinition
  handler: AnyHandler
  logger: Logger
}

/** Bytes that a client may send ahead of us, per stream and per connection: layers come this way. */
const streamWindowBytes = 1024 * 1024
const connectionWindowBytes = 8 * 1024 * 1024

/** Asked at intervals, for as long as the process lives: no work that anything is left of. */
const healthPath = '/grpc.health.v1.Health/'

/** A server without services. */
export function createRpcServer(options: RpcServerOptions): RpcServer {
  const { logger, maxMessageBytes = defaultMaxMessageBytes, tracing } = options
  const routes = new Map<string, Route>()
  const services = new Set<string>()
  const calls = new CallsInFlight()
  const sessions = new Set<ServerHttp2Session>()
  const server = createServer({
    settings: { initialWindowSize: streamWindowBytes },
    // Node would refuse streams when many large messages are under way; each message is bounded by itself.
    maxSessionMemory: Number.MAX_SAFE_INTEGER,
  })
  server.on('session', session => admit(session, sessions))
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _: number, raw: string[]) => {
    const call = new ServerCall(stream, headers, raw, maxMessageBytes)
    const path = headers[':path'] ?? ''
    if (!path.startsWith(healthPath)) stream.once('close', worked)
    const route = routes.get(path)
    const refusal = refusalOf(headers) ?? (route === undefined ? unknownMethod(path, services) : undefined)
    if (refusal !== undefined) call.end(refusal)
    else if (route !== undefined) calls.track(begin(route, call, tracing))
  })
  return {
    add(definition, implementation) {
      services.add(definition.fullName)
      for (const [path, route] of routesOf(definition, implementation, logger)) routes.set(path, route)
    },
    listen(address, options) {
      // The start itself leaves garbage behind.
      worked()
      return listen(server, address, options)
    },
    shutdown: graceMs => shutdown(server, sessions, calls, graceMs),
  }
}

function admit(session: ServerHttp2Session, sessions: Set<ServerHttp2Session>): void {
  sessions.add(session)
  session.setLocalWindowSize(connectionWindowBytes)
  // A connection that breaks is told by its calls.
  session.on('error', () => {})
  session.on('close', () => sessions.delete(session))
}

function* routesOf(definition: ServiceDefinition, implementation: object, logger: Logger): Generator<[string, Route]> {
  for (const [key, method] of Object.entries(definition.methods)) {
    const handler: AnyHandler | undefined = Reflect.get(implementation, key)
    if (handler === undefined) continue
    const rpc = `${definition.fullName}/${method.name}`
    yield [`/${rpc}`, { rpc, method, handler: handler.bind(implementation), logger: logger.child({ rpc }) }]
  }
}

/** What no method could answer. */
function refusalOf(headers: IncomingHttpHeaders): Status | undefined {
  const encoding = headers['grpc-encoding'] ?? 'identity'
  if (encoding === 'identity') return undefined
  return refused(`grpc: Decompressor is not installed for grpc-encoding "${encoding}"`)
}

/** In the words of Go's gRPC: containerd's clients read them to find out what a daemon can do. */
function unknownMethod(path: string, services: ReadonlySet<string>): Status {
  const [, service = '', method = ''] = path.split('/')
  return refused(
    services.has(service) ? `unknown method ${method} for service ${service}` : `unknown service ${service}`,
  )
}

const refused = (message: string): Status => ({ grpc: errorTable.NOT_IMPLEMENTED.grpc, message })

function begin(route: Route, call: ServerCall, tracing: ServerTracing | undefined): Promise<void> {
  return tracing !== undefined && isTraced(tracing, call.context.header)
    ? serveTraced(route, call, tracing)
    : serve(route, call)
}

async function serveTraced(route: Route, call: ServerCall, tracing: ServerTracing): Promise<void> {
  const traced = await openTracedCall(tracing, call.context.header, route.rpc)
  call.onStatus = status => traced.end(status)
  await traced.run(() => serve(route, call))
  traced.answered()
  if (call.isGone) traced.end({ grpc: errorTable.CANCELED.grpc, message: 'the client left' })
}

async function serve({ method, handler, logger }: Route, call: ServerCall): Promise<void> {
  const startMs = performance.now()
  try {
    const request = method.requestStream
      ? decoded(call, method.requestType)
      : decodedRequest(method.requestType, await received(call))
    const answer = handler(request, call.context)
    if (method.responseStream) await pump(answer, call, method.responseType)
    else call.finish(encoded(method.responseType, await answer))
  } catch (error) {
    call.end(statusOf(error, logger))
  }
  // For whoever looks at debug level for what is slow.
  logger.debug({ tookMs: Number((performance.now() - startMs).toFixed(2)) }, 'answered')
}

/** Its caller may be slow to send it. */
function received(call: ServerCall): Promise<Buffer> {
  return currentScope() === undefined ? call.request() : step('receive the request', () => call.request())
}

async function* decoded(call: ServerCall, codec: Codec<unknown>): AsyncGenerator<unknown> {
  for await (const bytes of call.requests()) yield decodedRequest(codec, bytes)
}

/** Sends each message, waiting whenever the client reads slower than we write. */
async function pump(messages: AsyncIterable<unknown>, call: ServerCall, codec: Codec<unknown>): Promise<void> {
  for await (const message of messages) {
    if (call.isGone) return
    await call.write(encoded(codec, message))
  }
  call.end({ grpc: 0, message: '' })
}

function encoded(codec: Codec<unknown>, message: unknown): Uint8Array {
  return codec.encode(codec.fromPartial(message)).finish()
}

/** What goes on the wire for whatever was thrown. */
function statusOf(error: unknown, logger: Logger): Status {
  const { code, message } = isGantryError(error) ? error : unexpected(error, logger)
  return { grpc: errorTable[code].grpc, message }
}

function unexpected(error: unknown, logger: Logger): GantryError {
  if (error instanceof Error && error.name === 'AbortError') return new GantryError('CANCELED', 'context canceled')
  logger.error({ err: error }, 'a call failed in an unforeseen way')
  return new GantryError('INTERNAL', `${messageOf(error)}: internal`)
}

async function listen(server: Http2Server, address: string, { mode = 0o600 }: ListenOptions = {}): Promise<void> {
  const path = address.replace(/^unix:(\/\/)?/, '')
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await rm(path, { force: true })
  const umask = process.umask(0o177)
  try {
    await bind(server, path)
  } finally {
    process.umask(umask)
  }
  await chmod(path, mode)
}

function bind(server: Http2Server, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen({ path, backlog: 511 }, () => {
    server.off('error', reject)
    resolve()
  })
  return promise
}

/** Long enough for the last answer to leave. */
const flushMs = 100

/** Clients are told to go (GOAWAY); we count the calls ourselves, and give the connections a moment after the last. */
async function shutdown(
  server: Http2Server,
  sessions: ReadonlySet<ServerHttp2Session>,
  calls: CallsInFlight,
  graceMs: number,
): Promise<void> {
  const done = new AbortController()
  const after = (ms: number) => sleep(ms, undefined, { signal: done.signal }).catch(() => {})
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  server.close(() => resolve())
  for (const session of sessions) session.close()
  await Promise.race([closed, calls.ended().then(() => after(flushMs)), after(graceMs)])
  done.abort()
  for (const session of sessions) session.destroy()
}

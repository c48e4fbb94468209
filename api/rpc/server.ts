/**
 * gRPC servers. The one place where grpc-js' callbacks become `async (request, context)`, and where errors
 * become statuses: a {@link GantryError} keeps its code, anything else is INTERNAL with a log line, never a stack.
 */
import { chmod, mkdir, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import * as grpc from '@grpc/grpc-js'
import { errorTable, GantryError, isGantryError, messageOf } from '../errors/errors.ts'
import type { Logger } from '../log/log.ts'
import { CallsInFlight } from './calls-in-flight.ts'
import { callContext } from './context.ts'
import {
  type CallContext,
  type Codec,
  defaultMaxMessageBytes,
  type MethodDefinition,
  type ServiceDefinition,
  type ServiceImpl,
} from './definition.ts'
import { nameUnknownMethods } from './unknown-method.ts'

export type { CallContext, ServiceImpl } from './definition.ts'

export interface RpcServerOptions {
  logger: Logger
  /** Default 16 MiB. */
  maxMessageBytes?: number
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
// biome-ignore lint/suspicious/noExplicitAny: as above
type AnyCall = grpc.ServerUnaryCall<any, any> & grpc.ServerWritableStream<any, any> & grpc.ServerDuplexStream<any, any>

/** A server without services. */
export function createRpcServer({ logger, maxMessageBytes = defaultMaxMessageBytes }: RpcServerOptions): RpcServer {
  const server = new grpc.Server({
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': maxMessageBytes,
  })
  const services = new Set<string>()
  const calls = new CallsInFlight()
  nameUnknownMethods(server, services)
  return {
    add(definition, implementation) {
      services.add(definition.fullName)
      addService(server, logger, calls, definition, implementation)
    },
    listen: (address, options) => listen(server, address, options),
    shutdown: graceMs => shutdown(server, calls, graceMs),
  }
}

function addService(
  server: grpc.Server,
  logger: Logger,
  calls: CallsInFlight,
  definition: ServiceDefinition,
  implementation: object,
): void {
  const description: Record<string, grpc.MethodDefinition<unknown, unknown>> = {}
  const handlers: Record<string, grpc.UntypedHandleCall> = {}
  for (const [key, method] of Object.entries(definition.methods)) {
    const handler: AnyHandler | undefined = Reflect.get(implementation, key)
    if (handler === undefined) continue
    description[key] = describe(definition, method)
    handlers[key] = handle(
      method,
      handler.bind(implementation),
      logger.child({ rpc: `${definition.fullName}/${method.name}` }),
      calls,
    )
  }
  server.addService(description, handlers)
}

function describe(definition: ServiceDefinition, method: MethodDefinition): grpc.MethodDefinition<unknown, unknown> {
  return {
    path: `/${definition.fullName}/${method.name}`,
    requestStream: method.requestStream,
    responseStream: method.responseStream,
    requestSerialize: serializer(method.requestType),
    requestDeserialize: bytes => method.requestType.decode(bytes),
    responseSerialize: serializer(method.responseType),
    responseDeserialize: bytes => method.responseType.decode(bytes),
  }
}

function serializer(codec: Codec<unknown>): (message: unknown) => Buffer {
  return message => {
    const bytes = codec.encode(codec.fromPartial(message)).finish()
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }
}

function handle(
  method: MethodDefinition,
  handler: AnyHandler,
  logger: Logger,
  calls: CallsInFlight,
): grpc.UntypedHandleCall {
  const invoke = (call: AnyCall, context: CallContext) =>
    handler(method.requestStream ? requestsOf(call) : call.request, context)
  return (
    method.responseStream ? streaming(invoke, logger, calls) : single(invoke, logger, calls)
  ) as grpc.UntypedHandleCall
}

function single(invoke: AnyHandler, logger: Logger, calls: CallsInFlight) {
  const answer = async (call: AnyCall, callback: grpc.sendUnaryData<unknown>) => {
    try {
      callback(null, await invoke(call, contextOf(call)))
    } catch (error) {
      callback(statusError(error, logger))
    }
  }
  return (call: AnyCall, callback: grpc.sendUnaryData<unknown>) => calls.track(answer(call, callback))
}

function streaming(invoke: AnyHandler, logger: Logger, calls: CallsInFlight) {
  const answer = async (call: AnyCall) => {
    try {
      const context = contextOf(call)
      await pump(invoke(call, context), call, context.signal)
      call.end()
    } catch (error) {
      // Emitted, not destroyed: grpc-js then sends what was written before, and the status after it.
      call.emit('error', statusError(error, logger))
    }
  }
  return (call: AnyCall) => calls.track(answer(call))
}

/** The request messages; a handler that stops reading early must not take the answer's side down with it. */
function requestsOf(call: AnyCall): AsyncIterable<unknown> {
  return { [Symbol.asyncIterator]: () => call.iterator({ destroyOnReturn: false }) }
}

function contextOf(call: AnyCall): CallContext {
  const controller = new AbortController()
  call.on('cancelled', () => controller.abort(new GantryError('CANCELED', 'the client withdrew the call')))
  return callContext(controller.signal, name => call.metadata.get(name)[0]?.toString())
}

/** Sends each message, waiting whenever the client reads slower than we write. */
async function pump(messages: AsyncIterable<unknown>, call: AnyCall, signal: AbortSignal): Promise<void> {
  for await (const message of messages) {
    if (signal.aborted) return
    if (!call.write(message)) await drained(call, signal)
  }
}

function drained(call: AnyCall, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  call.once('drain', resolve)
  signal.addEventListener('abort', () => resolve(), { once: true })
  return promise
}

/** What goes on the wire for whatever was thrown. */
function statusError(error: unknown, logger: Logger): Partial<grpc.StatusObject> & Error {
  const known = isGantryError(error) ? error : unexpected(error, logger)
  return Object.assign(new Error(known.message), { code: errorTable[known.code].grpc, details: known.message })
}

function unexpected(error: unknown, logger: Logger): GantryError {
  if (error instanceof Error && error.name === 'AbortError') return new GantryError('CANCELED', 'context canceled')
  logger.error({ err: error }, 'a call failed in an unforeseen way')
  return new GantryError('INTERNAL', `${messageOf(error)}: internal`)
}

async function listen(server: grpc.Server, address: string, { mode = 0o600 }: ListenOptions = {}): Promise<void> {
  const path = address.replace(/^unix:(\/\/)?/, '')
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await rm(path, { force: true })
  const umask = process.umask(0o177)
  try {
    await bind(server, `unix:${path}`)
  } finally {
    process.umask(umask)
  }
  await chmod(path, mode)
}

function bind(server: grpc.Server, address: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.bindAsync(address, grpc.ServerCredentials.createInsecure(), error => (error ? reject(error) : resolve()))
  return promise
}

/** Long enough for the last answer to leave. */
const flushMs = 100

/**
 * grpc-js tells when all connections have closed, but forgets about one that breaks at that moment: so we count the
 * calls ourselves, and give the connections a moment after the last.
 */
async function shutdown(server: grpc.Server, calls: CallsInFlight, graceMs: number): Promise<void> {
  const done = new AbortController()
  const after = (ms: number) => sleep(ms, undefined, { signal: done.signal }).catch(() => {})
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  server.tryShutdown(() => resolve())
  await Promise.race([closed, calls.ended().then(() => after(flushMs)), after(graceMs)])
  done.abort()
  server.forceShutdown()
}

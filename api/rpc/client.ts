/**
 * gRPC clients over node:http2, typed from the generated service tables. Not grpc-js: a command that loads
 * grpc-js starts in twice the time (docs/adr/0002), and one client for commands and daemons is one to understand.
 */
import { canceled, internal, isGantryError, messageOf } from '../errors/errors.ts'
import { currentScope } from '../trace/spans.ts'
import { type Call, startCall } from './call.ts'
import type { Channel } from './channel.ts'
import type { CallOptions, Client, Codec, MethodDefinition, ServiceDefinition } from './definition.ts'
import { type TracedOptions, tracedCall, tracedStream } from './traced-client-call.ts'

export { type Channel, type ChannelOptions, connect } from './channel.ts'
export type { CallOptions, Client } from './definition.ts'

/**
 * The client of one service. A unary method answers a promise, a streaming one an async iterable;
 * both fail with the server's status as a GantryError, UNAVAILABLE when nobody answers.
 */
export function createClient<D extends ServiceDefinition>(definition: D, channel: Channel): Client<D> {
  const methods = Object.entries(definition.methods).map(([key, method]) => [
    key,
    caller(channel, `/${definition.fullName}/${method.name}`, method),
  ])
  return Object.fromEntries(methods)
}

type Requests = AsyncIterable<unknown>

function caller(channel: Channel, path: string, method: MethodDefinition) {
  const open = (request: unknown, options: TracedOptions) => () => {
    const call = startCall(channel, path, options)
    void send(call, method, request)
    return call
  }
  const { responseType } = method
  const stream = (request: unknown, options: TracedOptions) => answers(open(request, options), responseType)
  const unary = (request: unknown, options: TracedOptions) => onlyAnswer(open(request, options), responseType, path)
  return (request: unknown, options: CallOptions = {}) => {
    const scope = currentScope()
    if (scope === undefined) return method.responseStream ? stream(request, options) : unary(request, options)
    return method.responseStream
      ? tracedStream(scope, path, options, traced => stream(request, traced))
      : tracedCall(scope, path, options, traced => unary(request, traced))
  }
}

async function send(call: Call, method: MethodDefinition, request: unknown): Promise<void> {
  try {
    if (method.requestStream) await sendAll(call, method, request as Requests)
    else await call.write(encode(method.requestType, request))
    call.end()
  } catch (cause) {
    // The caller's own iterable failed: it learns so from the answer.
    call.abort(isGantryError(cause) ? cause : canceled(`sending ${method.name}: ${messageOf(cause)}`, { cause }))
  }
}

async function sendAll(call: Call, method: MethodDefinition, requests: Requests): Promise<void> {
  for await (const message of requests) {
    if (call.closed) return
    await call.write(encode(method.requestType, message))
  }
}

function encode(codec: Codec<unknown>, message: unknown): Uint8Array {
  return codec.encode(codec.fromPartial(message)).finish()
}

async function* answers(open: () => Call, codec: Codec<unknown>): AsyncGenerator<unknown> {
  for await (const bytes of open().messages) yield codec.decode(bytes)
}

async function onlyAnswer(open: () => Call, codec: Codec<unknown>, path: string): Promise<unknown> {
  let answer: Buffer | undefined
  for await (const bytes of open().messages) answer ??= bytes
  if (answer === undefined) throw internal(`${path}: the server said OK but sent no message`)
  return codec.decode(answer)
}

/** ttrpc, client side: what a shim that speaks no gRPC is called by. */
import { createConnection, type Socket } from 'node:net'
import {
  canceled,
  codeOfStatus,
  deadlineExceeded,
  GantryError,
  messageOf,
  notImplemented,
  unavailable,
} from '../errors/errors.ts'
import { currentScope } from '../trace/spans.ts'
import {
  type CallOptions,
  type Client,
  type MethodDefinition,
  namespaceHeader,
  type ServiceDefinition,
} from './definition.ts'
import { tracedCall } from './traced-client-call.ts'
import {
  decodeResponse,
  encodeFrame,
  encodeRequest,
  messageType,
  type TtrpcFrame,
  TtrpcFrameReader,
  type TtrpcResponse,
} from './ttrpc-wire.ts'

/** In ttrpc's metadata the namespace has a key of its own. */
export const ttrpcNamespaceKey = `${namespaceHeader}-ttrpc`

export interface TtrpcChannelOptions extends Pick<CallOptions, 'namespace' | 'deadlineMs'> {
  /** What the peer is, for error messages; default: the address. */
  peer?: string
  /** Called once for each connection that was open and ended. */
  onClose?: () => void
}

/** A connection to a ttrpc server: opened by the first call, opened anew after it broke. Keeps no process alive while idle. */
export interface TtrpcChannel extends Disposable {
  readonly peer: string
  readonly defaults: TtrpcChannelOptions
  /** Answers what ends the waiting: the server goes on, and its answer is thrown away. */
  call(request: Uint8Array, give: (result: TtrpcResponse | GantryError) => void): () => void
  close(): void
}

/** `address`: path of a unix socket, `unix://` or not. Nothing is opened yet. */
export function connectTtrpc(address: string, options: TtrpcChannelOptions = {}): TtrpcChannel {
  const path = address.replace(/^unix:(\/\/)?/, '')
  const peer = options.peer ?? path
  let current: Connection | undefined
  const close = () => current?.socket.destroy()
  return {
    peer,
    defaults: options,
    call(request, give) {
      if (!current || current.socket.destroyed) current = new Connection(path, peer, options.onClose)
      return current.call(request, give)
    },
    close,
    [Symbol.dispose]: close,
  }
}

type Give = (result: TtrpcResponse | GantryError) => void

class Connection {
  readonly socket: Socket
  readonly #peer: string
  readonly #waiting = new Map<number, Give>()
  readonly #frames = new TtrpcFrameReader()
  #nextStreamId = 1

  constructor(path: string, peer: string, onClose: (() => void) | undefined) {
    this.#peer = peer
    this.socket = createConnection(path)
    this.socket.unref()
    let why: unknown
    let opened = false
    this.socket.on('connect', () => {
      opened = true
    })
    this.socket.on('data', chunk => this.#receive(chunk))
    this.socket.on('error', error => {
      why = error
    })
    this.socket.on('close', () => {
      this.#failAll(why)
      if (opened) onClose?.()
    })
  }

  call(request: Uint8Array, give: Give): () => void {
    const streamId = this.#nextStreamId
    this.#nextStreamId += 2
    try {
      const frame = encodeFrame(streamId, messageType.request, request)
      this.#waiting.set(streamId, give)
      this.socket.ref()
      this.socket.write(frame)
    } catch (error) {
      give(error as GantryError)
    }
    return () => this.#forget(streamId)
  }

  #forget(streamId: number): void {
    this.#waiting.delete(streamId)
    if (this.#waiting.size === 0) this.socket.unref()
  }

  #receive(chunk: Buffer): void {
    try {
      for (const frame of this.#frames.push(chunk)) this.#answer(frame)
    } catch (error) {
      this.socket.destroy(error as Error)
    }
  }

  #answer({ streamId, type, payload }: TtrpcFrame): void {
    const give = this.#waiting.get(streamId)
    if (!give || type !== messageType.response) return
    this.#forget(streamId)
    give(decodeResponse(payload))
  }

  #failAll(why: unknown): void {
    const reason = why === undefined ? 'the connection closed' : messageOf(why)
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const give of waiting) give(unavailable(`no answer from ${this.#peer}: ${reason}`, { cause: why }))
  }
}

/**
 * The client of one service, with the shape of the gRPC one. Only unary methods exist in ttrpc's first version:
 * a streaming one throws NOT_IMPLEMENTED. An aborted signal ends the waiting; the server is not told.
 */
export function createTtrpcClient<D extends ServiceDefinition>(definition: D, channel: TtrpcChannel): Client<D> {
  const methods = Object.entries(definition.methods).map(([key, method]) => [key, caller(definition, method, channel)])
  return Object.fromEntries(methods)
}

function caller(definition: ServiceDefinition, method: MethodDefinition, channel: TtrpcChannel) {
  const name = `${definition.fullName}/${method.name}`
  const call = async (message: unknown, options: CallOptions): Promise<unknown> => {
    if (method.requestStream || method.responseStream) throw notImplemented(`${name}: streams over ttrpc`)
    const merged = { ...channel.defaults, ...options }
    const payload = method.requestType.encode(method.requestType.fromPartial(message)).finish()
    const request = encodeRequest({
      service: definition.fullName,
      method: method.name,
      payload,
      timeoutNano: BigInt(merged.deadlineMs ?? 0) * 1_000_000n,
      metadata: metadataOf(merged),
    })
    return method.responseType.decode(await answerTo(channel, request, name, merged))
  }
  return (message: unknown, options: CallOptions = {}): Promise<unknown> => {
    const scope = currentScope()
    return scope === undefined ? call(message, options) : tracedCall(scope, name, options, own => call(message, own))
  }
}

function metadataOf(options: CallOptions): [string, string][] {
  const entries = Object.entries(options.headers ?? {})
  return options.namespace === undefined ? entries : [[ttrpcNamespaceKey, options.namespace], ...entries]
}

async function answerTo(
  channel: TtrpcChannel,
  request: Uint8Array,
  name: string,
  options: CallOptions,
): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<TtrpcResponse | GantryError>()
  const { signal, deadlineMs } = options
  const abort = () =>
    reject(signal?.reason instanceof GantryError ? signal.reason : canceled(`call ${name}`, { cause: signal?.reason }))
  const late = () => reject(deadlineExceeded(`${name} on ${channel.peer} was not answered within ${deadlineMs} ms`))
  const timer = deadlineMs === undefined ? undefined : setTimeout(late, deadlineMs)
  signal?.addEventListener('abort', abort, { once: true })
  if (signal?.aborted) abort()
  const forget = signal?.aborted ? undefined : channel.call(request, resolve)
  try {
    return payloadOf(await promise)
  } finally {
    forget?.()
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}

function payloadOf(result: TtrpcResponse | GantryError): Uint8Array {
  if (result instanceof GantryError) throw result
  const { status } = result
  if (status && status.code !== 0) throw new GantryError(codeOfStatus(status.code), status.message)
  return result.payload
}

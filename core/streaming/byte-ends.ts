/**
 * Where an archive's bytes come from or go to, by the name a Transfer gives: a message stream that its client opened, or
 * `unix:///path`, a socket that the client listens on (`api/streaming/byte-socket.ts`). Who may call us is as good as root, so that
 * no socket is out of his reach anyway.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { isAbsolute } from 'node:path'
import type { Writable } from 'node:stream'
import { invalidArgument, messageOf, unavailable } from '#api/errors/errors.ts'
import { socketScheme } from '#api/streaming/byte-socket.ts'
import { byteReader, byteWriter } from './byte-streams.ts'
import { SocketBytes } from './socket-bytes.ts'
import type { MessageStream, Streams } from './streaming.ts'

/** How long a socket that somebody listens on may take to accept. */
const connectTimeoutMs = 10_000

/** To be disposed of when the transfer is over: its client waits for that. */
export interface ByteEnd<S> extends AsyncDisposable {
  readonly bytes: S
}

/** Chunks are valid until the next is asked for. NOT_FOUND: no such stream. INVALID_ARGUMENT, UNAVAILABLE: of an address. */
export async function openByteSource(
  streams: Streams,
  ns: string,
  id: string,
): Promise<ByteEnd<AsyncIterable<Uint8Array>>> {
  const path = socketPath(id)
  if (path === undefined) return over(streams.get(ns, id), byteReader)
  const bytes = new SocketBytes(path)
  return await connected(id, bytes.socket, bytes)
}

/** Errors as {@link openByteSource}. */
export async function openByteSink(streams: Streams, ns: string, id: string): Promise<ByteEnd<Writable>> {
  const path = socketPath(id)
  if (path === undefined) return over(streams.get(ns, id), byteWriter)
  const socket = connect(path)
  return await connected(id, socket, socket)
}

function over<S>(stream: MessageStream, open: (stream: MessageStream) => S): ByteEnd<S> {
  return { bytes: open(stream), [Symbol.asyncDispose]: () => stream.close() }
}

function socketPath(id: string): string | undefined {
  if (!id.startsWith(socketScheme)) return undefined
  const path = id.slice(socketScheme.length)
  if (!isAbsolute(path)) throw invalidArgument(`stream "${id}" is no absolute path of a socket`)
  return path
}

async function connected<S>(id: string, socket: Socket, bytes: S): Promise<ByteEnd<S>> {
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(connectTimeoutMs) })
  } catch (cause) {
    socket.destroy()
    throw unavailable(`stream "${id}" cannot be reached: ${messageOf(cause)}`, { cause })
  }
  // A break is told by whoever reads or writes; between the two nobody listens.
  socket.on('error', () => {})
  return { bytes, [Symbol.asyncDispose]: async () => void socket.destroy() }
}

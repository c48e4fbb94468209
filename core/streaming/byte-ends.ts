/**
 * Where an archive's bytes come from or go to, by the name a Transfer gives: a message stream that its client opened, or
 * `unix:///path`, a socket that the client listens on (`api/streaming/byte-socket.ts`). Who may call us is as good as root, so that
 * no socket is out of his reach anyway.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { isAbsolute } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { invalidArgument, messageOf, unavailable } from '#api/errors/errors.ts'
import { socketScheme } from '#api/streaming/byte-socket.ts'
import { byteReader, byteWriter } from './byte-streams.ts'
import type { Streams } from './streaming.ts'

/** How long a socket that somebody listens on may take to accept. */
const connectTimeoutMs = 10_000

/** To be disposed of when the transfer is over: its client waits for that. */
export interface ByteEnd<S> extends AsyncDisposable {
  readonly bytes: S
}

/** NOT_FOUND: no such stream. INVALID_ARGUMENT, UNAVAILABLE: of an address. */
export function openByteSource(streams: Streams, ns: string, id: string): Promise<ByteEnd<Readable>> {
  return openEnd<Readable>(streams, ns, id, byteReader)
}

/** As {@link openByteSource}. */
export function openByteSink(streams: Streams, ns: string, id: string): Promise<ByteEnd<Writable>> {
  return openEnd<Writable>(streams, ns, id, byteWriter)
}

async function openEnd<S>(
  streams: Streams,
  ns: string,
  id: string,
  over: (stream: ReturnType<Streams['get']>) => S,
): Promise<ByteEnd<S | Socket>> {
  if (id.startsWith(socketScheme)) {
    const socket = await connected(id.slice(socketScheme.length))
    return { bytes: socket, [Symbol.asyncDispose]: async () => void socket.destroy() }
  }
  const stream = streams.get(ns, id)
  return { bytes: over(stream), [Symbol.asyncDispose]: () => stream.close() }
}

async function connected(path: string): Promise<Socket> {
  if (!isAbsolute(path)) throw invalidArgument(`stream "${socketScheme}${path}" is no absolute path of a socket`)
  const socket = connect(path)
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(connectTimeoutMs) })
  } catch (cause) {
    socket.destroy()
    throw unavailable(`stream "${socketScheme}${path}" cannot be reached: ${messageOf(cause)}`, { cause })
  }
  // A break is told by whoever reads or writes; between the two nobody listens.
  socket.on('error', () => {})
  return socket
}

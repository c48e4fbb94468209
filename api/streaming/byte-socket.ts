/**
 * The bytes of an archive beside gRPC (docs/adr/0019): a client on the core's host listens on a private unix socket, and names its address
 * where a Transfer takes the name of a stream. The core connects once, and the archive flows as it is, without messages around its bytes.
 * The end of the bytes says nothing of success: the Transfer's answer does.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Readable } from 'node:stream'

/** Starts a stream's name that is the address of a socket. */
export const socketScheme = 'unix://'

export interface OfferedSocket extends AsyncDisposable {
  /** What a Transfer calls it by. */
  readonly id: string
  /** Fulfilled when the core has connected; never, when the Transfer fails before. */
  readonly connected: Promise<Socket>
}

/** Listens for the core alone: `folder` is open to nobody but its owner. Disposal closes what there is. */
export async function offerSocket(folder: string, purpose: string): Promise<OfferedSocket> {
  const path = join(folder, `${purpose}-${randomBytes(4).toString('hex')}`)
  const { promise: connected, resolve } = Promise.withResolvers<Socket>()
  let socket: Socket | undefined
  const server = createServer(peer => {
    socket = peer
    // Whoever uses the socket meets its errors; until then nobody does.
    peer.on('error', () => {})
    server.close()
    resolve(peer)
  })
  server.maxConnections = 1
  server.listen(path)
  await once(server, 'listening')
  return {
    id: `${socketScheme}${path}`,
    connected,
    async [Symbol.asyncDispose]() {
      server.close()
      socket?.destroy()
    },
  }
}

/**
 * Sends all of `source`, and ends the socket; one that breaks off breaks the socket. When the other side wants no more, `source` is left
 * as it is: the body of a request that still has an answer to get must not be destroyed.
 */
export function pour(source: Readable, socket: Socket): void {
  const breakOff = () => {
    if (!source.readableEnded) socket.destroy()
  }
  source.on('error', breakOff)
  source.once('close', breakOff)
  if (source.destroyed) breakOff()
  else source.pipe(socket)
}

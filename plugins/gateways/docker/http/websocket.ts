/** A WebSocket as a plain connection: what comes as messages goes on as bytes, and the other way round. */
import type { Duplex } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { createWebSocketStream, WebSocketServer } from 'ws'
import { badRequest } from './http-error.ts'
import { type Hijacked, takeUpgrade } from './upgrade.ts'

/** Messages of clients are keystrokes and pasted text. */
const maxMessageBytes = 1024 * 1024

const server = new WebSocketServer({ noServer: true, maxPayload: maxMessageBytes, perMessageDeflate: false })

/** Answers the handshake and takes the connection. 400 for a request that asks for no WebSocket. */
export async function openWebSocket(request: FastifyRequest, reply: FastifyReply): Promise<Hijacked> {
  if (request.headers.upgrade?.toLowerCase() !== 'websocket') throw badRequest('not a WebSocket handshake')
  const { socket, rest } = takeUpgrade(request, reply)
  const { promise, resolve, reject } = Promise.withResolvers<Duplex>()
  socket.once('close', () => reject(new Error('the client left during the handshake')))
  server.handleUpgrade(request.raw, socket, rest, websocket => {
    const stream = createWebSocketStream(websocket)
    stream.on('error', () => stream.destroy())
    resolve(stream)
  })
  return { socket: await promise, first: Buffer.alloc(0) }
}

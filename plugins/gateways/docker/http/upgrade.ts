/**
 * Taking a connection over: after the head of the answer both sides send what they like (`attach`, `exec`).
 *
 * Clients ask for it with `Connection: Upgrade` and get 101, or without, and get 200; either way the bytes after the
 * heads are the stream's. Node hands upgrades out before their body is read, so the body is read here; without an
 * upgrade its parser has to be taken off the socket.
 */
import type { EventEmitter } from 'node:events'
import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { badRequest } from './http-error.ts'

interface Upgrade {
  socket: Duplex
  /** What came after the head and the body. */
  rest: Buffer
  body: Buffer
}

const upgradeKey = Symbol('upgrade of the request')
type Upgraded = IncomingMessage & { [upgradeKey]?: Upgrade }

/** Bodies of hijacking calls are a few flags. */
const maxBodyBytes = 1024 * 1024

/** Routes requests that ask for an upgrade like all others. */
export function acceptUpgrades(server: EventEmitter, app: Pick<FastifyInstance, 'routing'>): void {
  server.on('upgrade', (request: Upgraded, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy())
    void readBody(request, socket, head).then(
      upgrade => {
        request[upgradeKey] = upgrade
        const response = new ServerResponse(request)
        response.shouldKeepAlive = false
        response.assignSocket(socket as Socket)
        response.once('finish', () => socket.end())
        app.routing(request, response)
      },
      () => socket.destroy(),
    )
  })
}

async function readBody(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<Upgrade> {
  const length = Number(request.headers['content-length'] ?? 0)
  if (!(length <= maxBodyBytes)) throw new Error(`a body of ${length} bytes`)
  // The framework must not wait for a body that its parser will never see.
  for (const name of ['content-length', 'transfer-encoding', 'content-type']) delete request.headers[name]
  let bytes = head
  while (bytes.length < length) bytes = Buffer.concat([bytes, await nextChunk(socket)])
  return { socket, body: bytes.subarray(0, length), rest: bytes.subarray(length) }
}

function nextChunk(socket: Duplex): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const onEnd = () => reject(new Error('the connection ended within a body'))
  socket.once('end', onEnd)
  socket.once('data', (chunk: Buffer) => {
    socket.pause()
    socket.off('end', onEnd)
    resolve(chunk)
  })
  socket.resume()
  return promise
}

/** The body of a request that asked for an upgrade; undefined for any other. */
export function upgradedBody(request: FastifyRequest): Buffer | undefined {
  return (request.raw as Upgraded)[upgradeKey]?.body
}

/** A connection whose bytes are ours. */
export interface Hijacked {
  readonly socket: Duplex
  /** Sent by the client already. */
  readonly first: Buffer
}

/** The connection of a request that asked for an upgrade, with nothing answered yet. */
export function takeUpgrade(request: FastifyRequest, reply: FastifyReply): { socket: Duplex; rest: Buffer } {
  const upgrade = (request.raw as Upgraded)[upgradeKey]
  if (!upgrade) throw badRequest('the connection cannot be upgraded')
  reply.hijack()
  reply.raw.detachSocket(upgrade.socket as Socket)
  return upgrade
}

/** Answers the head (101, or 200 without an upgrade) and takes the connection. Nothing may be answered after it. */
export function hijack(request: FastifyRequest, reply: FastifyReply, contentType: string): Hijacked {
  const upgrade = (request.raw as Upgraded)[upgradeKey]
  reply.hijack()
  const announced = ['api-version', 'docker-experimental', 'ostype', 'server']
    .map(name => `${name}: ${reply.getHeader(name)}\r\n`)
    .join('')
  if (upgrade) {
    const { socket, rest } = upgrade
    reply.raw.detachSocket(socket as Socket)
    const asked = request.headers.upgrade ?? 'tcp'
    socket.write(
      `HTTP/1.1 101 UPGRADED\r\n${announced}Content-Type: ${contentType}\r\nConnection: Upgrade\r\nUpgrade: ${asked}\r\n\r\n`,
    )
    return { socket, first: rest }
  }
  const socket = request.raw.socket
  takeParserOff(socket, reply)
  socket.write(`HTTP/1.1 200 OK\r\n${announced}Content-Type: ${contentType}\r\n\r\n`)
  return { socket, first: Buffer.alloc(0) }
}

/**
 * Node reads HTTP straight from the descriptor until somebody listens for `data`; its own listeners would go on parsing.
 * The request is complete, so nothing of it is lost.
 */
function takeParserOff(socket: Socket, reply: FastifyReply): void {
  reply.raw.detachSocket(socket)
  const ignore = () => {}
  socket.on('data', ignore)
  for (const event of ['data', 'end', 'drain', 'timeout', 'close', 'error']) socket.removeAllListeners(event)
  socket.on('error', () => socket.destroy())
  socket.setTimeout(0)
  socket.pause()
}

/** The name server inside one container: its sockets, and what becomes of a query. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { createServer, type Server, type Socket } from 'node:net'
import { messageOf } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import { openServerSocket } from '#api/sys/sys.ts'
import { resolverAddress } from '../result.ts'
import { askedName, failure, fitDatagram, ownAnswer, type Query, readQuery } from './answers.ts'
import type { Resolvers } from './resolvers.ts'
import { readFrames, writeFrame } from './tcp-frames.ts'
import type { Transport } from './upstream.ts'

/**
 * Where the sockets are, whoever restarts: connections of the container are translated to it as long as it lives. A
 * program in the container may have port 53, on all addresses too.
 */
const ownPort = 39_053
const wellKnownPort = 53
/** A TCP client that says nothing for so long is let go. */
const idleMs = 10_000

export class ContainerResolver {
  readonly #resolvers: Resolvers
  readonly #containerId: string
  readonly #log: Logger
  #udp: UdpSocket | undefined
  #tcp: Server | undefined
  readonly #clients = new Set<Socket>()

  constructor(resolvers: Resolvers, containerId: string, log: Logger) {
    this.#resolvers = resolvers
    this.#containerId = containerId
    this.#log = log
  }

  /** Queries are answered when this resolves. The namespace must exist. */
  async open(netns: string): Promise<void> {
    const at = { netns, address: resolverAddress, port: ownPort }
    await Promise.all([
      this.#resolvers.redirect(netns, { address: resolverAddress, port: wellKnownPort, to: ownPort }),
      openServerSocket({ ...at, protocol: 'udp' }).then(fd => this.#serveUdp(fd)),
      openServerSocket({ ...at, protocol: 'tcp' }).then(fd => this.#serveTcp(fd)),
    ])
  }

  close(): void {
    this.#udp?.close()
    this.#tcp?.close()
    for (const client of this.#clients) client.destroy()
    this.#udp = undefined
    this.#tcp = undefined
  }

  #serveUdp(fd: number): Promise<void> {
    const socket = createSocket('udp4')
    this.#udp = socket
    socket.on('error', error => this.#log.warn({ container: this.#containerId, err: error }, 'name server socket'))
    socket.on('message', (bytes, from) => {
      const query = readQuery(bytes)
      if (query === undefined) return
      const send = (response: Buffer) => {
        if (this.#udp === socket) socket.send(fitDatagram(query, response), from.port, from.address)
      }
      this.#answer(query, 'udp', send)
    })
    return new Promise(resolve => socket.bind({ fd }, resolve))
  }

  #serveTcp(fd: number): Promise<void> {
    const server = createServer(client => {
      this.#clients.add(client)
      client.on('close', () => this.#clients.delete(client)).on('error', () => client.destroy())
      client.setTimeout(idleMs, () => client.destroy())
      readFrames(client, bytes => {
        const query = readQuery(Buffer.from(bytes))
        if (query === undefined) client.destroy()
        else this.#answer(query, 'tcp', response => client.writable && writeFrame(client, response))
      })
    })
    this.#tcp = server
    server.on('error', error => this.#log.warn({ container: this.#containerId, err: error }, 'name server socket'))
    return new Promise(resolve => server.listen({ fd }, resolve))
  }

  /** Names of ours are answered in the same turn; for others the answer comes when it comes. */
  #answer(query: Query, transport: Transport, send: (response: Buffer) => void): void {
    const rows = this.#resolvers.rowsOf(this.#containerId)
    const own = ownAnswer(this.#resolvers.directory, rows, query)
    if (rows.some(row => this.#resolvers.gate.isGuarded(row))) {
      this.#answerGuarded(query, own, transport).then(send, error => this.#fail(query, error, send))
      return
    }
    if (own) send(own)
    else this.#ask(query, transport).then(send, error => this.#fail(query, error, send))
  }

  /** The way to the addresses is open before the container hears of them. */
  async #answerGuarded(query: Query, own: Buffer | undefined, transport: Transport): Promise<Buffer> {
    const { gate } = this.#resolvers
    const rows = this.#resolvers.rowsOf(this.#containerId)
    const name = askedName(query)
    if (own === undefined && !gate.mayAsk(rows, name)) return failure(query, 'refused')
    const answer = own ?? (await this.#ask(query, transport))
    await gate.learn(rows, name, answer)
    return answer
  }

  #ask(query: Query, transport: Transport): Promise<Buffer> {
    return this.#resolvers.askElsewhere(this.#containerId, query.bytes, transport)
  }

  #fail(query: Query, error: unknown, send: (response: Buffer) => void): void {
    this.#log.debug({ container: this.#containerId, reason: messageOf(error) }, 'a query was not answered')
    send(failure(query, 'serverFailure'))
  }
}

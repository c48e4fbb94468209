/** Asks other name servers, from the host's network namespace: bytes there, bytes back. */
import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import { unavailable } from '#api/errors/errors.ts'
import { familyOf } from '#sdk/network-addresses.ts'
import { readFrames, writeFrame } from './tcp-frames.ts'

const port = 53
/** For one server; a client waits five seconds (resolv.conf(5)). */
const patienceMs = 2000
/** A server that did not answer is asked after the others for so long: not every question waits for it. */
const lastMs = 30_000
/** Each costs a socket: more at once are refused, which a client takes as "ask again". */
const mostAtOnce = 2000
/** Answers that say nothing of the name, only of the server: SERVFAIL, NOTIMP, REFUSED. resolv.conf(5)'s resolver goes on too. */
const emptyHanded: readonly number[] = [2, 4, 5]

export type Transport = 'udp' | 'tcp'

export class Upstream {
  readonly #port: number
  #running = 0
  /** Servers that did not answer, and until when that counts. */
  readonly #silent = new Map<string, number>()

  constructor(options: { port?: number } = {}) {
    this.#port = options.port ?? port
  }

  /**
   * Asks one server after another until one knows; what the first of the others said, when none does. The identifier in
   * the answer is the query's. UNAVAILABLE: none answered in time, or too many wait.
   */
  async ask(query: Buffer, servers: readonly string[], transport: Transport): Promise<Buffer> {
    if (this.#running >= mostAtOnce) throw unavailable(`${this.#running} queries wait for name servers already`)
    this.#running++
    try {
      // Another identifier than the client's, from another port each time: what an outsider cannot guess.
      const own = Buffer.from(query)
      own.writeUInt16BE(randomInt(0x10000))
      const answer = await this.#first(own, servers, transport)
      answer.writeUInt16BE(query.readUInt16BE(0))
      return answer
    } finally {
      this.#running--
    }
  }

  async #first(query: Buffer, servers: readonly string[], transport: Transport): Promise<Buffer> {
    const refusals: string[] = []
    let helpless: Buffer | undefined
    for (const server of this.#inOrder(servers)) {
      try {
        const answer = await (transport === 'udp' ? this.#byUdp(query, server) : this.#byTcp(query, server))
        this.#silent.delete(server)
        if (!emptyHanded.includes(answer.readUInt8(3) & 15)) return answer
        helpless ??= answer
      } catch (error) {
        this.#silent.set(server, performance.now() + lastMs)
        refusals.push(`${server} (${error instanceof Error ? error.message : error})`)
      }
    }
    if (helpless) return helpless
    throw unavailable(`no name server answers: ${refusals.join(', ') || 'none is configured'}`)
  }

  #inOrder(servers: readonly string[]): readonly string[] {
    if (this.#silent.size === 0) return servers
    const isSilent = (server: string) => (this.#silent.get(server) ?? 0) > performance.now()
    return [...servers.filter(server => !isSilent(server)), ...servers.filter(isSilent)]
  }

  #byUdp(query: Buffer, server: string): Promise<Buffer> {
    const socket = createSocket(familyOf(server) === 4 ? 'udp4' : 'udp6')
    return settled(
      (resolve, reject) => {
        socket.on('error', reject)
        socket.on('message', answer => isAnswerTo(answer, query) && resolve(answer))
        // Connected: the kernel takes answers of that server alone, and reports a port that is closed.
        const refused = (error: Error | null) => error && reject(error)
        socket.connect(this.#port, server, ((error?: Error) => {
          if (error) reject(error)
          else socket.send(query, refused)
        }) as () => void)
      },
      () => socket.close(),
    )
  }

  #byTcp(query: Buffer, server: string): Promise<Buffer> {
    const socket = connect({ host: server, port: this.#port })
    return settled(
      (resolve, reject) => {
        socket.on('error', reject).on('close', () => reject(new Error('closed')))
        readFrames(socket, answer => isAnswerTo(answer, query) && resolve(answer))
        socket.on('connect', () => writeFrame(socket, query))
      },
      () => socket.destroy(),
    )
  }
}

function settled<T>(
  begin: (resolve: (value: T) => void, reject: (error: Error) => void) => void,
  end: () => void,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const timer = setTimeout(() => reject(new Error(`no answer in ${patienceMs} ms`)), patienceMs)
  begin(resolve, reject)
  return promise.finally(() => {
    clearTimeout(timer)
    end()
  })
}

function isAnswerTo(answer: Buffer, query: Buffer): boolean {
  return answer.length >= 12 && answer.readUInt16BE(0) === query.readUInt16BE(0) && (answer.readUInt8(2) & 0x80) !== 0
}

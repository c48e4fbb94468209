/** Docker's API over one kept connection: what is left when the client is not a process. */
import { Agent, type IncomingMessage, request } from 'node:http'

export class DockerApi implements Disposable {
  readonly #socketPath: string
  readonly #agent: Agent

  /** `connections`: how many requests may be under way; the rest waits. */
  constructor(socketPath: string, connections = 1) {
    this.#socketPath = socketPath
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections })
  }

  /** The answer's body, parsed when it is JSON. Throws for a status of 400 or more. */
  async call<T = unknown>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await this.open(method, path, body)
    let text = ''
    for await (const chunk of answer.setEncoding('utf8')) text += chunk
    if ((answer.statusCode ?? 500) >= 400) throw new Error(`${method} ${path}: ${answer.statusCode} ${text.trim()}`)
    return (answer.headers['content-type']?.includes('json') && text !== '' ? JSON.parse(text) : text) as T
  }

  /** The answer as soon as it begins; the caller reads it. */
  open(method: string, path: string, body?: unknown): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const text = body === undefined ? '' : JSON.stringify(body)
    const headers = { Host: 'docker', 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) }
    const options = { socketPath: this.#socketPath, agent: this.#agent, method, path, headers }
    request(options, resolve).once('error', reject).end(text)
    return promise
  }

  /** A container that runs; answers its id. */
  async run(config: object): Promise<string> {
    const { Id } = await this.call<{ Id: string }>('POST', '/containers/create', config)
    await this.call('POST', `/containers/${Id}/start`)
    return Id
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }
}

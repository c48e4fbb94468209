/** The other ends of log drivers, in this process. */
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { LogEntry } from '#api/gen/gantry/docker/v1/log_entry.ts'

/** A server of connections that keeps what it is told. */
export class Listener implements AsyncDisposable {
  readonly #server: Server
  bytes: Buffer = Buffer.alloc(0)

  constructor(answer: (bytes: Buffer) => Buffer | undefined = () => undefined) {
    this.#server = createServer(socket => {
      socket.on('error', () => {})
      socket.on('data', bytes => {
        this.bytes = Buffer.concat([this.bytes, bytes])
        const said = answer(bytes)
        if (said) socket.write(said)
      })
    })
  }

  /** At a port, any port, or a socket's path; answers the port. */
  async listen(at: number | string = 0): Promise<number> {
    this.#server.listen(typeof at === 'string' ? { path: at } : { port: at, host: '127.0.0.1' })
    await once(this.#server, 'listening')
    return typeof at === 'string' ? 0 : (this.#server.address() as AddressInfo).port
  }

  get lines(): string[] {
    return this.bytes.toString().split('\n').filter(Boolean)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
  }
}

interface Started {
  File: string
  Info: { Config: Record<string, string>; ContainerName: string }
}

/** A log plugin: an HTTP server that reads FIFOs. */
export class LogPlugin implements AsyncDisposable {
  readonly calls: { verb: string; body: Started }[] = []
  readonly entries: LogEntry[] = []
  readonly #server = createHttpServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    const verb = (request.url ?? '').slice(1)
    if (verb === 'LogDriver.StartLogging') this.#read((JSON.parse(text) as Started).File)
    if (text !== '') this.calls.push({ verb, body: JSON.parse(text) as Started })
    response.end(JSON.stringify(verb === 'Plugin.Activate' ? { Implements: ['LogDriver'] } : { Err: '' }))
  })

  async listen(path: string): Promise<void> {
    this.#server.listen(path)
    await once(this.#server, 'listening')
  }

  #read(file: string): void {
    let bytes: Buffer = Buffer.alloc(0)
    createReadStream(file).on('data', chunk => {
      bytes = Buffer.concat([bytes, chunk as Buffer])
      for (; bytes.length >= 4 && bytes.length >= 4 + bytes.readUInt32BE(0); ) {
        const end = 4 + bytes.readUInt32BE(0)
        this.entries.push(LogEntry.decode(bytes.subarray(4, end)))
        bytes = bytes.subarray(end)
      }
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
  }
}

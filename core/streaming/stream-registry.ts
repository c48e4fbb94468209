import { alreadyExists, invalidArgument, notFound, unavailable } from '#api/errors/errors.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'
import type { MessageStream, Streams } from './streaming.ts'

/** Longest name a client may choose. */
const maxIdLength = 256

/** Open streams, by tenant namespace and name. */
export class StreamRegistry implements Streams {
  readonly #open = new Map<string, MessageStream>()

  get(ns: string, id: string): MessageStream {
    const stream = this.#open.get(keyOf(ns, id))
    if (stream === undefined) throw notFound(`stream "${id}"`)
    return stream
  }

  /** ALREADY_EXISTS; INVALID_ARGUMENT for an empty or overlong name. Dispose to forget. */
  register(ns: string, id: string, stream: MessageStream): Disposable {
    if (id === '' || id.length > maxIdLength)
      throw invalidArgument(`stream id "${id.slice(0, maxIdLength)}" must have 1 to ${maxIdLength} characters`)
    const key = keyOf(ns, id)
    if (this.#open.has(key)) throw alreadyExists(`stream "${id}"`)
    this.#open.set(key, stream)
    return { [Symbol.dispose]: () => void this.#open.delete(key) }
  }
}

function keyOf(ns: string, id: string): string {
  return `${ns}/${id}`
}

interface Outgoing {
  readonly message: Any
  readonly taken: () => void
  readonly refused: (error: Error) => void
}

/** The server's end of one Stream call: a queue out, the call's requests in. */
export class CallStream implements MessageStream {
  readonly #requests: AsyncIterator<Any>
  readonly #queue: Outgoing[] = []
  #wake: (() => void) | undefined
  #closing = false
  readonly #ended = Promise.withResolvers<void>()

  constructor(requests: AsyncIterator<Any>) {
    this.#requests = requests
  }

  send(message: Any): Promise<void> {
    if (this.#closing) return Promise.reject(unavailable('the stream is closed'))
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#queue.push({ message, taken: resolve, refused: reject })
    this.#wake?.()
    return promise
  }

  async receive(): Promise<Any | undefined> {
    const next = await this.#requests.next()
    return next.done ? undefined : next.value
  }

  close(): Promise<void> {
    this.#closing = true
    this.#wake?.()
    return this.#ended.promise
  }

  /** What the call answers: until closed, or the client is gone. */
  async *outgoing(signal: AbortSignal): AsyncGenerator<Any> {
    const wakeUp = () => this.#wake?.()
    signal.addEventListener('abort', wakeUp, { once: true })
    try {
      while (!signal.aborted) {
        const next = this.#queue.shift()
        if (next) {
          yield next.message
          next.taken()
        } else if (this.#closing) return
        else await this.#somethingToDo(signal)
      }
    } finally {
      signal.removeEventListener('abort', wakeUp)
      this.#end()
    }
  }

  #somethingToDo(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    if (signal.aborted) resolve()
    return promise
  }

  #end(): void {
    this.#closing = true
    for (const { refused } of this.#queue.splice(0)) refused(unavailable('the client closed the stream'))
    this.#ended.resolve()
  }
}

/** containerd's Streaming service: a stream with a name, which a Transfer refers to. Messages are Any, both ways. */
import { randomUUID } from 'node:crypto'
import { StreamInit, StreamingDefinition } from '#api/gen/containerd/services/streaming/v1/streaming.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'
import type { Session } from '../session.ts'

export interface OpenStream extends AsyncDisposable {
  readonly id: string
  send(message: Any): void
  /** No more from our side. */
  end(): void
  /** What the server sends, its first answer (that the stream is open) left out. */
  readonly received: AsyncIterable<Any>
}

/** Resolves once the server knows the stream: before that a Transfer must not name it. */
export async function openStream(session: Session, purpose: string): Promise<OpenStream> {
  const id = `${purpose}-${randomUUID()}`
  const outbox = new Outbox()
  outbox.push({
    typeUrl: 'containerd.services.streaming.v1.StreamInit',
    value: Buffer.from(StreamInit.encode({ id }).finish()),
  })
  const stop = new AbortController()
  const answers = session.client(StreamingDefinition).stream(outbox, { signal: stop.signal })[Symbol.asyncIterator]()
  await answers.next()
  return {
    id,
    send: message => outbox.push(message),
    end: () => outbox.end(),
    received: { [Symbol.asyncIterator]: () => answers },
    [Symbol.asyncDispose]: async () => {
      outbox.end()
      stop.abort()
    },
  }
}

/** An async queue of what is to be sent. */
class Outbox implements AsyncIterable<Any> {
  readonly #queue: Any[] = []
  #ended = false
  #wake = Promise.withResolvers<void>()

  push(message: Any): void {
    this.#queue.push(message)
    this.#wake.resolve()
  }

  end(): void {
    this.#ended = true
    this.#wake.resolve()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Any> {
    for (;;) {
      const next = this.#queue.shift()
      if (next !== undefined) yield next
      else if (this.#ended) return
      else {
        await this.#wake.promise
        this.#wake = Promise.withResolvers()
      }
    }
  }
}

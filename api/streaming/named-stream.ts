/**
 * containerd's Streaming service: a stream with a name, which a Transfer refers to for its progress, its credentials or
 * its archive. Messages are Any, both ways.
 */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { StreamInit, type StreamingDefinition } from '../gen/containerd/services/streaming/v1/streaming.ts'
import { Data, WindowUpdate } from '../gen/containerd/types/transfer/streaming.ts'
import type { Any } from '../gen/google/protobuf/any.ts'
import type { Client } from '../rpc/definition.ts'

export interface OpenStream extends AsyncDisposable {
  /** What a Transfer calls it by. */
  readonly id: string
  send(message: Any): void
  /** No more from our side. */
  end(): void
  /** What the core sends. Fails when the stream breaks. */
  readonly received: AsyncIterable<Any>
}

/** Resolves once the core knows the stream: before that a Transfer must not name it. */
export async function openStream(streaming: Client<typeof StreamingDefinition>, purpose: string): Promise<OpenStream> {
  const id = `${purpose}-${randomUUID()}`
  const outbox = new Outbox()
  outbox.push(anyOf('containerd.services.streaming.v1.StreamInit', StreamInit, { id }))
  const stop = new AbortController()
  const answers = streaming.stream(outbox, { signal: stop.signal })[Symbol.asyncIterator]()
  await answers.next()
  return {
    id,
    send: message => outbox.push(message),
    end: () => outbox.end(),
    received: { [Symbol.asyncIterator]: () => answers },
    async [Symbol.asyncDispose]() {
      outbox.end()
      stop.abort()
    },
  }
}

/** A message in the form that streams and transfers carry; `name` is its full protobuf name. */
export function anyOf<T>(name: string, codec: { encode(message: T): { finish(): Uint8Array } }, message: T): Any {
  return { typeUrl: name, value: Buffer.from(codec.encode(message).finish()) }
}

/** Sends what `source` holds as fast as the core takes it. Rejects when reading fails; the Transfer tells the rest. */
export async function sendAll(stream: OpenStream, source: Readable): Promise<void> {
  const window = new Window()
  void window.follow(stream.received)
  for await (const chunk of source as AsyncIterable<Buffer>) {
    for (let at = 0; at < chunk.length; at += maxChunkBytes) {
      const data = chunk.subarray(at, at + maxChunkBytes)
      if (!(await window.take(data.length))) return
      stream.send(anyOf('containerd.types.transfer.Data', Data, { data }))
    }
  }
  stream.end()
}

/** Writes all that the core sends into `target`, at the target's speed; does not end it. */
export async function receiveAll(stream: OpenStream, target: Writable): Promise<void> {
  grant(stream, windowBytes)
  for await (const { value } of stream.received) {
    const { data } = Data.decode(value)
    if (target.destroyed) return
    if (!target.write(data)) await Promise.race([once(target, 'drain'), once(target, 'close')])
    grant(stream, data.length)
  }
}

const windowBytes = 1024 * 1024
const maxChunkBytes = 256 * 1024

function grant(stream: OpenStream, update: number): void {
  stream.send(anyOf('containerd.types.transfer.WindowUpdate', WindowUpdate, { update }))
}

/** How much the other side is ready to take. */
class Window {
  #bytes = 0
  #changed = Promise.withResolvers<void>()
  #closed = false

  /** False: the other side takes nothing more. */
  async take(count: number): Promise<boolean> {
    while (this.#bytes <= 0 && !this.#closed) await this.#changed.promise
    this.#bytes -= count
    return !this.#closed
  }

  async follow(messages: AsyncIterable<Any>): Promise<void> {
    try {
      for await (const { value } of messages) this.#add(WindowUpdate.decode(value).update)
    } catch {
      // The Transfer call tells why.
    }
    this.#closed = true
    this.#add(0)
  }

  #add(bytes: number): void {
    this.#bytes += bytes
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
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

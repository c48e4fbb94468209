/**
 * Bytes over a named stream (containerd's core/transfer/streaming): Data messages one way, WindowUpdate the
 * other; the sender stops while its window is empty.
 */
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { Data, WindowUpdate } from '#api/gen/containerd/types/transfer/streaming.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'
import type { Session } from '../session.ts'
import { type OpenStream, openStream } from './open.ts'

const dataType = 'containerd.types.transfer.Data'
const windowType = 'containerd.types.transfer.WindowUpdate'
const windowBytes = 1024 * 1024
const maxChunkBytes = 256 * 1024

export interface Sending extends AsyncDisposable {
  readonly id: string
  /** The result of `work`; fails early when reading the source fails. */
  race<T>(work: Promise<T>): Promise<T>
}

/** Sends what `source` holds as the server makes room. */
export async function sendData(session: Session, source: Readable): Promise<Sending> {
  const stream = await openStream(session, 'import')
  const failed = Promise.withResolvers<never>()
  failed.promise.catch(() => {})
  void pumpOut(stream, source).catch(failed.reject)
  return {
    id: stream.id,
    race: work => Promise.race([work, failed.promise]),
    [Symbol.asyncDispose]: () => stream[Symbol.asyncDispose](),
  }
}

async function pumpOut(stream: OpenStream, source: Readable): Promise<void> {
  const window = new Window()
  void window.follow(stream.received)
  for await (const chunk of source as AsyncIterable<Buffer>) {
    for (let at = 0; at < chunk.length; at += maxChunkBytes) {
      const part = chunk.subarray(at, at + maxChunkBytes)
      await window.take(part.length)
      stream.send({ typeUrl: dataType, value: Buffer.from(Data.encode({ data: part }).finish()) })
    }
  }
  stream.end()
}

/** How much the other side is ready to take. */
class Window {
  #bytes = 0
  #changed = Promise.withResolvers<void>()
  #closed = false

  async take(count: number): Promise<void> {
    while (this.#bytes <= 0 && !this.#closed) await this.#changed.promise
    this.#bytes -= count
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

/** Writes what the server sends into `target`; `done` when all of it is written. */
export async function receiveData(
  session: Session,
  target: Writable,
): Promise<AsyncDisposable & { id: string; done: Promise<void> }> {
  const stream = await openStream(session, 'export')
  const done = pumpIn(stream, target)
  done.catch(() => {})
  return { id: stream.id, done, [Symbol.asyncDispose]: () => stream[Symbol.asyncDispose]() }
}

async function pumpIn(stream: OpenStream, target: Writable): Promise<void> {
  grant(stream, windowBytes)
  for await (const { value } of stream.received) {
    const { data } = Data.decode(value)
    if (!target.write(data)) await once(target, 'drain')
    grant(stream, data.length)
  }
  if (target === process.stdout) return
  target.end()
  await finished(target)
}

function grant(stream: OpenStream, update: number): void {
  stream.send({ typeUrl: windowType, value: Buffer.from(WindowUpdate.encode({ update }).finish()) })
}

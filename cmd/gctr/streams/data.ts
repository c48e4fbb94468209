/** Archives over a named stream: what an import reads, what an export writes. */
import type { Readable, Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { StreamingDefinition } from '#api/gen/containerd/services/streaming/v1/streaming.ts'
import { type OpenStream, openStream, receiveAll, sendAll } from '#api/streaming/named-stream.ts'
import type { Session } from '../session.ts'

export interface Sending extends AsyncDisposable {
  readonly id: string
  /** The result of `work`; fails early when reading the source fails. */
  race<T>(work: Promise<T>): Promise<T>
}

/** Sends what `source` holds as the server makes room. */
export async function sendData(session: Session, source: Readable): Promise<Sending> {
  const stream = await openStream(session.client(StreamingDefinition), 'import')
  const failed = Promise.withResolvers<never>()
  failed.promise.catch(() => {})
  void sendAll(stream, source).catch(failed.reject)
  return {
    id: stream.id,
    race: work => Promise.race([work, failed.promise]),
    [Symbol.asyncDispose]: () => stream[Symbol.asyncDispose](),
  }
}

/** Writes what the server sends into `target`; `done` when all of it is written. */
export async function receiveData(
  session: Session,
  target: Writable,
): Promise<AsyncDisposable & { id: string; done: Promise<void> }> {
  const stream = await openStream(session.client(StreamingDefinition), 'export')
  const done = receiveWhole(stream, target)
  done.catch(() => {})
  return { id: stream.id, done, [Symbol.asyncDispose]: () => stream[Symbol.asyncDispose]() }
}

async function receiveWhole(stream: OpenStream, target: Writable): Promise<void> {
  await receiveAll(stream, target)
  if (target === process.stdout) return
  target.end()
  await finished(target)
}

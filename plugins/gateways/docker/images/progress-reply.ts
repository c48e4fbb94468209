/** Sends a progress stream: a failure before the first message is a status, one after it is a message. */
import { Readable } from 'node:stream'
import { describeError } from '../http/http-error.ts'
import type { Reply } from '../http/routes.ts'
import { errorMessage, type ProgressMessage, progressLine } from './progress-messages.ts'

/** `signal` of {@link leaving} is what stops the work when the client goes. */
export async function sendProgress(reply: Reply, messages: AsyncIterable<ProgressMessage>): Promise<Reply> {
  const iterator = messages[Symbol.asyncIterator]()
  const first = await iterator.next()
  reply.header('Content-Type', 'application/json')
  return reply.send(Readable.from(lines(first, iterator), { objectMode: true, highWaterMark: 1 }))
}

/** The same for verbs whose failures are always messages, as `docker load` has it. */
export async function sendProgressAlways(reply: Reply, messages: AsyncIterable<ProgressMessage>): Promise<Reply> {
  reply.header('Content-Type', 'application/json')
  const iterator = messages[Symbol.asyncIterator]()
  return reply.send(Readable.from(lines(undefined, iterator), { objectMode: true, highWaterMark: 1 }))
}

/** Fires when the client goes before it has its answer. */
export function leaving(reply: Reply): AbortSignal {
  const gone = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort()
  })
  return gone.signal
}

async function* lines(
  first: IteratorResult<ProgressMessage> | undefined,
  iterator: AsyncIterator<ProgressMessage>,
): AsyncGenerator<string> {
  try {
    for (let next = first ?? (await iterator.next()); !next.done; next = await iterator.next())
      yield progressLine(next.value)
  } catch (error) {
    yield progressLine(errorMessage(describeError(error).message))
  } finally {
    await iterator.return?.()
  }
}

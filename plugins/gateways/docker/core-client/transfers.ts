/** containerd's Transfer service: images between registries, archives and the store, with progress. */
import { Progress } from '#api/gen/containerd/types/transfer/progress.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'
import { openStream } from '#api/streaming/named-stream.ts'
import type { Core } from './core.ts'

/**
 * Runs a transfer; yields its progress as it comes, and throws what the transfer throws. To stop listening is to stop the
 * transfer.
 */
export async function* transfer(
  core: Core,
  ends: { source: Any; destination: Any },
  options: { signal?: AbortSignal | undefined } = {},
): AsyncGenerator<Progress> {
  const stop = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal
  await using progress = await openStream(core.streaming, 'progress')
  const done = core.transfer.transfer({ ...ends, options: { progressStream: progress.id } }, { signal })
  // A transfer refused at once leaves the stream open.
  done.catch(() => progress[Symbol.asyncDispose]())
  try {
    yield* decoded(progress.received)
    await done
  } finally {
    stop.abort()
  }
}

/** A stream that breaks says nothing of its own: the call does. */
async function* decoded(messages: AsyncIterable<Any>): AsyncGenerator<Progress> {
  try {
    for await (const { value } of messages) yield Progress.decode(value)
  } catch {
    // See above.
  }
}

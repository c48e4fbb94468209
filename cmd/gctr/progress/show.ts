/** The progress of a Transfer: a bar per object on a terminal, a line per finished one otherwise. */
import { StreamingDefinition } from '#api/gen/containerd/services/streaming/v1/streaming.ts'
import { Progress } from '#api/gen/containerd/types/transfer/progress.ts'
import { openStream } from '#api/streaming/named-stream.ts'
import type { Session } from '../session.ts'

export interface ProgressView {
  update(progress: Progress): void
  end(): void
}

export interface ProgressOptions {
  silent: boolean
  /** Told of each report as well. */
  seen?: ((progress: Progress) => void) | undefined
}

/** Shows until disposed. `id` is what TransferOptions.progress_stream takes. */
export async function showProgress(
  session: Session,
  { silent, seen }: ProgressOptions,
): Promise<AsyncDisposable & { id: string }> {
  if (silent && !seen) return { id: '', [Symbol.asyncDispose]: async () => {} }
  const stream = await openStream(session.client(StreamingDefinition), 'progress')
  const shown = follow(stream.received, await viewOf(silent), seen)
  return {
    id: stream.id,
    async [Symbol.asyncDispose]() {
      stream.end()
      // The server closes the stream when the transfer is over; what it said before is shown first.
      await Promise.race([shown, new Promise(resolve => setTimeout(resolve, 200).unref())])
      await stream[Symbol.asyncDispose]()
    },
  }
}

async function viewOf(silent: boolean): Promise<ProgressView> {
  if (silent) return { update() {}, end() {} }
  return process.stderr.isTTY ? (await import('./bars.ts')).bars() : (await import('./lines.ts')).lines()
}

async function follow(
  messages: AsyncIterable<{ value: Buffer }>,
  view: ProgressView,
  seen: ((progress: Progress) => void) | undefined,
): Promise<void> {
  try {
    for await (const { value } of messages) {
      const progress = Progress.decode(value)
      seen?.(progress)
      view.update(progress)
    }
  } catch {
    // The Transfer call tells why.
  } finally {
    view.end()
  }
}

/** The progress of a Transfer: a bar per object on a terminal, a line per finished one otherwise. */
import { Progress } from '#api/gen/containerd/types/transfer/progress.ts'
import type { Session } from '../session.ts'
import { openStream } from '../streams/open.ts'

export interface ProgressView {
  update(progress: Progress): void
  end(): void
}

/** Shows until disposed. `id` is what TransferOptions.progress_stream takes. */
export async function showProgress(session: Session, silent: boolean): Promise<AsyncDisposable & { id: string }> {
  if (silent) return { id: '', [Symbol.asyncDispose]: async () => {} }
  const stream = await openStream(session, 'progress')
  const shown = follow(stream.received)
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

async function follow(messages: AsyncIterable<{ value: Buffer }>): Promise<void> {
  const view = process.stderr.isTTY ? (await import('./bars.ts')).bars() : (await import('./lines.ts')).lines()
  try {
    for await (const { value } of messages) view.update(Progress.decode(value))
  } catch {
    // The Transfer call tells why.
  } finally {
    view.end()
  }
}

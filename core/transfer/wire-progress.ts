/** Progress to a client's stream. */
import { Progress as WireProgress } from '#api/gen/containerd/types/transfer/progress.ts'
import type { Streams } from '#core/streaming/streaming.ts'
import { recordTarget } from './context.ts'
import type { Progress, ProgressSink } from './transfer.ts'

/** Reports that wait for a slow client; past it, those about bytes are left out. */
const maxWaiting = 1000

export interface ProgressStream extends AsyncDisposable {
  readonly sink: ProgressSink | undefined
}

/** The sink for a stream's name, none for an empty one. Disposing waits until the client has everything. NOT_FOUND. */
export function openProgress(streams: Streams, ns: string, id: string): ProgressStream {
  if (id === '') return { sink: undefined, [Symbol.asyncDispose]: async () => {} }
  const stream = streams.get(ns, id)
  let waiting = 0
  const sink = (progress: Progress) => {
    if (waiting >= maxWaiting && progress.event.endsWith('ing')) return
    waiting++
    // A client that no longer listens does not stop the transfer.
    const sent = stream.send({ typeUrl: 'containerd.types.transfer.Progress', value: encode(progress) })
    void sent.catch(() => {}).then(() => waiting--)
  }
  return { sink, [Symbol.asyncDispose]: () => stream.close() }
}

function encode({ event, name = '', parents = [], progress = 0, total = 0, descriptor }: Progress): Buffer {
  const desc = descriptor && { ...recordTarget(descriptor), annotations: { ...descriptor.annotations } }
  const message = { event, name, parents: [...parents], progress: BigInt(progress), total: BigInt(total), desc }
  return Buffer.from(WireProgress.encode(message).finish())
}

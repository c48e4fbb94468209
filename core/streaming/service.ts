/** containerd.services.streaming.v1 over {@link StreamRegistry}. */
import { invalidArgument } from '#api/errors/errors.ts'
import { StreamInit, type StreamingDefinition } from '#api/gen/containerd/services/streaming/v1/streaming.ts'
import type { ServiceImpl } from '#api/rpc/server.ts'
import { CallStream, type StreamRegistry } from './stream-registry.ts'
import { typeName } from './type-name.ts'

const initType = 'containerd.services.streaming.v1.StreamInit'
const registered = { typeUrl: 'google.protobuf.Empty', value: Buffer.alloc(0) }

export function streamingService(registry: StreamRegistry): ServiceImpl<typeof StreamingDefinition> {
  return {
    async *stream(requests, { namespace, signal }) {
      const incoming = requests[Symbol.asyncIterator]()
      const first = await incoming.next()
      if (first.done) return
      if (typeName(first.value) !== initType)
        throw invalidArgument(`a stream starts with ${initType}, not with "${first.value.typeUrl}"`)
      const stream = new CallStream(incoming)
      using _ = registry.register(namespace, StreamInit.decode(first.value.value).id, stream)
      yield registered
      yield* stream.outgoing(signal)
    },
  }
}

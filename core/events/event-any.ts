import type { Any } from '#api/gen/google/protobuf/any.ts'
import type { Codec } from '#api/rpc/definition.ts'

/**
 * A message as an event's payload. `typeName` is the full protobuf name, without `type.googleapis.com/`: containerd's
 * clients compare it exactly.
 */
export function eventAny<T>(typeName: string, codec: Codec<T>, message: T): Any {
  return { typeUrl: typeName, value: Buffer.from(codec.encode(message).finish()) }
}

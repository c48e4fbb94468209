import type { Any } from '#api/gen/google/protobuf/any.ts'

/** Full protobuf name of a message's type, whatever prefix its sender put before it. */
export function typeName({ typeUrl }: Any): string {
  return typeUrl.slice(typeUrl.lastIndexOf('/') + 1)
}

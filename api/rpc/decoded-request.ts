import { invalidArgument, messageOf } from '../errors/errors.ts'
import type { Codec } from './definition.ts'

/** A caller's message. INVALID_ARGUMENT when its bytes are none of that type. */
export function decodedRequest<T>(codec: Codec<T>, bytes: Uint8Array): T {
  try {
    return codec.decode(bytes)
  } catch (cause) {
    throw invalidArgument(`the request cannot be decoded: ${messageOf(cause)}`, { cause })
  }
}

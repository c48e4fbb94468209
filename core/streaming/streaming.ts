/**
 * Streaming: message streams that a client opens and names, for other calls to use.
 *
 * A client opens `containerd.services.streaming.v1.Streaming/Stream`, says a name in its first message and gets an empty
 * message back. From then on a service of ours finds the stream by that name (in the same tenant namespace) and
 * sends and receives what the two have agreed on: progress, credentials, the bytes of an archive.
 *
 * The call ends when our side closes the stream, or the client goes away. A client that has sent everything half-closes:
 * {@link MessageStream.receive} then answers undefined.
 */
import type { Any } from '#api/gen/google/protobuf/any.ts'

export { openByteSink, openByteSource } from './byte-ends.ts'
export { byteReader, byteWriter } from './byte-streams.ts'
export { streamingService } from './service.ts'
export { StreamRegistry } from './stream-registry.ts'
export { typeName } from './type-name.ts'

/** One client's stream. Messages keep their order. */
export interface MessageStream {
  /** Fulfilled when the transport has taken the message. UNAVAILABLE once the stream is closed. */
  send(message: Any): Promise<void>
  /** The next message, or undefined after the client's last. One call at a time. */
  receive(): Promise<Any | undefined>
  /** Ends the call after what was sent; further sends fail. Idempotent. Fulfilled when nothing is left to send. */
  close(): Promise<void>
}

export interface Streams {
  /** The stream a client opened under that name. NOT_FOUND. */
  get(ns: string, id: string): MessageStream
}

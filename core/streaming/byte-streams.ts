/**
 * Bytes over a message stream: `Data` one way, `WindowUpdate` the other (containerd's `core/transfer/streaming`). The
 * sender never has more bytes under way than the receiver allowed, so a slow disk slows the network, not memory.
 */
import { Readable, Writable } from 'node:stream'
import { invalidArgument, messageOf, unavailable } from '#api/errors/errors.ts'
import { Data, WindowUpdate } from '#api/gen/containerd/types/transfer/streaming.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'
import type { MessageStream } from './streaming.ts'
import { typeName } from './type-name.ts'

const dataType = 'containerd.types.transfer.Data'
const windowType = 'containerd.types.transfer.WindowUpdate'
/** Bytes a client may send ahead; containerd's clients take any window, their own is 64 KiB. */
const windowBytes = 1024 * 1024
/** Bytes per message, containerd's size. */
const maxDataBytes = 32 * 1024

/** What the client sends, until it half-closes. */
export function byteReader(stream: MessageStream): Readable {
  return Readable.from(receivedBytes(stream), { objectMode: false })
}

async function* receivedBytes(stream: MessageStream): AsyncGenerator<Buffer> {
  let window = 0
  for (;;) {
    if (window <= windowBytes / 2) {
      const update = windowBytes - window
      // A client that has sent everything may be gone from this side already: what it sent still counts.
      await stream.send(wrap(windowType, WindowUpdate.encode({ update }).finish())).catch(() => {})
      window += update
    }
    const message = await stream.receive()
    if (message === undefined) return
    if (typeName(message) !== dataType)
      throw invalidArgument(`the archive's stream carries "${message.typeUrl}", not ${dataType}`)
    const { data } = Data.decode(message.value)
    window -= data.length
    if (window < 0) throw invalidArgument(`the archive's stream sent ${-window} bytes more than it was allowed to`)
    yield data
  }
}

/** Bytes for the client; `end` does not close the stream. */
export function byteWriter(stream: MessageStream): Writable {
  const window = new SendWindow()
  void window.follow(stream)
  return new Writable({
    highWaterMark: 4 * maxDataBytes,
    write(chunk: Buffer, _encoding, done) {
      sendAll(stream, window, chunk).then(() => done(), done)
    },
  })
}

async function sendAll(stream: MessageStream, window: SendWindow, chunk: Buffer): Promise<void> {
  for (let at = 0; at < chunk.length; ) {
    const allowed = await window.open()
    const piece = chunk.subarray(at, at + Math.min(allowed, maxDataBytes))
    await stream.send(wrap(dataType, Data.encode({ data: piece }).finish()))
    window.use(piece.length)
    at += piece.length
  }
}

/** How much the other side takes now. */
class SendWindow {
  #bytes = 0
  #failure: Error | undefined
  #wake: (() => void) | undefined

  /** Reads the client's updates until it goes away. */
  async follow(stream: MessageStream): Promise<void> {
    try {
      for (;;) {
        const message = await stream.receive()
        if (message === undefined) break
        if (typeName(message) === windowType) this.#add(WindowUpdate.decode(message.value).update)
      }
      this.#fail(unavailable('the client ended the stream before it had everything'))
    } catch (cause) {
      this.#fail(unavailable(`the client's stream broke: ${messageOf(cause)}`, { cause }))
    }
  }

  /** Bytes that may be sent: at least one. */
  async open(): Promise<number> {
    while (this.#bytes <= 0) {
      if (this.#failure) throw this.#failure
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wake = resolve
      await promise
    }
    return this.#bytes
  }

  use(bytes: number): void {
    this.#bytes -= bytes
  }

  #add(bytes: number): void {
    this.#bytes += Math.max(0, bytes)
    this.#wake?.()
  }

  #fail(error: Error): void {
    this.#failure = error
    this.#wake?.()
  }
}

function wrap(typeUrl: string, value: Uint8Array): Any {
  return { typeUrl, value: Buffer.from(value) }
}

/** HTTP/2 frames on the wire (RFC 9113, sections 4 to 7): numbers, and the frame's head. */

export const frameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const

export const flag = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 0x20 } as const

export const errorCode = {
  noError: 0,
  protocol: 1,
  internal: 2,
  flowControl: 3,
  streamClosed: 5,
  frameSize: 6,
  refusedStream: 7,
  cancel: 8,
  compression: 9,
  enhanceYourCalm: 11,
} as const

export const setting = { enablePush: 2, maxConcurrentStreams: 3, initialWindowSize: 4, maxFrameSize: 5 } as const

/** What a client says first (section 3.4). */
export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

export const headBytes = 9
/** Of a payload, until a peer allows more; we never do. */
export const defaultFrameBytes = 16_384
export const defaultWindowBytes = 65_535
export const maxWindowBytes = 2 ** 31 - 1

/** Our end of the connection cannot go on, for a reason the peer is told (GOAWAY, section 7). */
export class ConnectionError extends Error {
  readonly code: number

  constructor(code: number, message: string) {
    super(`HTTP/2: ${message}`)
    this.code = code
  }
}

export interface Frame {
  type: number
  flags: number
  streamId: number
  payload: Buffer
}

/** Head and payload in one buffer. */
export function encodeFrame(type: number, flags: number, streamId: number, payload?: Uint8Array): Buffer {
  const length = payload?.length ?? 0
  const frame = Buffer.allocUnsafe(headBytes + length)
  writeHead(frame, length, type, flags, streamId)
  if (payload !== undefined) frame.set(payload, headBytes)
  return frame
}

/** A frame's head alone, for a payload that is written after it. */
export function encodeHead(length: number, type: number, flags: number, streamId: number): Buffer {
  const head = Buffer.allocUnsafe(headBytes)
  writeHead(head, length, type, flags, streamId)
  return head
}

function writeHead(to: Buffer, length: number, type: number, flags: number, streamId: number): void {
  to.writeUIntBE(length, 0, 3)
  to[3] = type
  to[4] = flags
  to.writeUInt32BE(streamId, 5)
}

export function encodeNumberFrame(type: number, streamId: number, value: number): Buffer {
  const frame = encodeHeadWithRoom(4, type, streamId)
  frame.writeUInt32BE(value, headBytes)
  return frame
}

export function encodeSettings(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  const frame = encodeHeadWithRoom(6 * settings.length, frameType.settings, 0)
  settings.forEach(([id, value], index) => {
    frame.writeUInt16BE(id, headBytes + 6 * index)
    frame.writeUInt32BE(value, headBytes + 6 * index + 2)
  })
  return frame
}

export function encodeGoaway(lastStreamId: number, code: number, message: string): Buffer {
  const text = Buffer.from(message.slice(0, 200))
  const frame = encodeHeadWithRoom(8 + text.length, frameType.goaway, 0)
  frame.writeUInt32BE(lastStreamId, headBytes)
  frame.writeUInt32BE(code, headBytes + 4)
  frame.set(text, headBytes + 8)
  return frame
}

function encodeHeadWithRoom(length: number, type: number, streamId: number): Buffer {
  const frame = Buffer.allocUnsafe(headBytes + length)
  writeHead(frame, length, type, 0, streamId)
  return frame
}

/** Takes a connection's bytes as they come and gives back the whole frames in them. */
export class FrameParser {
  #rest: Buffer[] = []
  #bytes = 0
  /** Bytes of {@link #rest} that make the next frame whole, or its head. */
  #needed = headBytes;

  /** Payloads are views of the chunks. Throws {@link ConnectionError} for a frame larger than we allow. */
  *push(chunk: Buffer): Generator<Frame> {
    let buffer = chunk
    if (this.#bytes > 0) {
      this.#rest.push(chunk)
      this.#bytes += chunk.length
      // Joined once, when it is enough: a slow peer's single bytes would cost their square otherwise.
      if (this.#bytes < this.#needed) return
      buffer = Buffer.concat(this.#rest)
    }
    let at = 0
    for (;;) {
      this.#needed = neededBytes(buffer, at)
      if (buffer.length - at < this.#needed) break
      const streamId = buffer.readUInt32BE(at + 5) & 0x7fff_ffff
      const payload = buffer.subarray(at + headBytes, at + this.#needed)
      yield { type: buffer[at + 3] as number, flags: buffer[at + 4] as number, streamId, payload }
      at += this.#needed
    }
    this.#rest = at < buffer.length ? [buffer.subarray(at)] : []
    this.#bytes = buffer.length - at
  }
}

function neededBytes(buffer: Buffer, at: number): number {
  if (buffer.length - at < headBytes) return headBytes
  const length = buffer.readUIntBE(at, 3)
  if (length > defaultFrameBytes) throw new ConnectionError(errorCode.frameSize, `a frame of ${length} bytes`)
  return headBytes + length
}

/**
 * ttrpc on the wire (containerd/ttrpc PROTOCOL.md): frames of a 10-byte header and a protobuf message.
 * Header: payload length (u32be), stream id (u32be), message type (u8), flags (u8). Only unary calls are spoken here:
 * one request frame, one response frame with the same stream id; a client's ids are odd.
 */
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire'
import { resourceExhausted } from '../errors/errors.ts'
import { Status } from '../gen/google/rpc/status.ts'

export const messageType = { request: 1, response: 2, data: 3 } as const

/** The protocol's own limit on a payload: 4 MiB. */
export const maxPayloadBytes = 4 * 1024 * 1024

const headerBytes = 10

export interface TtrpcFrame {
  streamId: number
  type: number
  payload: Buffer
}

export interface TtrpcRequest {
  service: string
  method: string
  payload: Uint8Array
  /** 0: no deadline. */
  timeoutNano: bigint
  metadata: readonly (readonly [key: string, value: string])[]
}

export interface TtrpcResponse {
  /** Absent or code 0: success. */
  status?: Status | undefined
  payload: Uint8Array
}

export function encodeFrame(streamId: number, type: number, payload: Uint8Array): Buffer {
  if (payload.length > maxPayloadBytes)
    throw resourceExhausted(`ttrpc message of ${payload.length} bytes is longer than ${maxPayloadBytes}`)
  const frame = Buffer.allocUnsafe(headerBytes + payload.length)
  frame.writeUInt32BE(payload.length, 0)
  frame.writeUInt32BE(streamId, 4)
  frame.writeUInt8(type, 8)
  frame.writeUInt8(0, 9)
  frame.set(payload, headerBytes)
  return frame
}

/** Cuts a byte stream into frames. */
export class TtrpcFrameReader {
  #pending: Buffer = Buffer.alloc(0);

  /** The frames completed by `chunk`. Throws RESOURCE_EXHAUSTED for a frame past the limit: the stream is lost then. */
  *push(chunk: Buffer): Generator<TtrpcFrame> {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
    while (this.#pending.length >= headerBytes) {
      const length = this.#pending.readUInt32BE(0)
      if (length > maxPayloadBytes)
        throw resourceExhausted(`ttrpc frame announces ${length} bytes, more than ${maxPayloadBytes}`)
      if (this.#pending.length < headerBytes + length) return
      const frame = this.#pending.subarray(0, headerBytes + length)
      this.#pending = this.#pending.subarray(headerBytes + length)
      yield { streamId: frame.readUInt32BE(4), type: frame.readUInt8(8), payload: frame.subarray(headerBytes) }
    }
  }
}

/** Field numbers: 1 service, 2 method, 3 payload, 4 timeout_nano, 5 metadata {1 key, 2 value}. */
export function encodeRequest(request: TtrpcRequest): Uint8Array {
  const writer = new BinaryWriter()
  writer.uint32(10).string(request.service).uint32(18).string(request.method).uint32(26).bytes(request.payload)
  if (request.timeoutNano !== 0n) writer.uint32(32).int64(request.timeoutNano)
  for (const [key, value] of request.metadata)
    writer.uint32(42).fork().uint32(10).string(key).uint32(18).string(value).join()
  return writer.finish()
}

export function decodeRequest(bytes: Uint8Array): TtrpcRequest {
  const request = {
    service: '',
    method: '',
    payload: Buffer.alloc(0),
    timeoutNano: 0n,
    metadata: [] as [string, string][],
  }
  const reader = new BinaryReader(bytes)
  while (reader.pos < reader.len) {
    const tag = reader.uint32()
    if (tag === 10) request.service = reader.string()
    else if (tag === 18) request.method = reader.string()
    else if (tag === 26) request.payload = Buffer.from(reader.bytes())
    else if (tag === 32) request.timeoutNano = BigInt(reader.int64().toString())
    else if (tag === 42) request.metadata.push(decodeKeyValue(reader.bytes()))
    else reader.skip(tag & 7)
  }
  return request
}

function decodeKeyValue(bytes: Uint8Array): [string, string] {
  const pair: [string, string] = ['', '']
  const reader = new BinaryReader(bytes)
  while (reader.pos < reader.len) {
    const tag = reader.uint32()
    if (tag === 10) pair[0] = reader.string()
    else if (tag === 18) pair[1] = reader.string()
    else reader.skip(tag & 7)
  }
  return pair
}

/** Field numbers: 1 status (google.rpc.Status), 2 payload. */
export function encodeResponse(response: TtrpcResponse): Uint8Array {
  const writer = new BinaryWriter()
  if (response.status) Status.encode(response.status, writer.uint32(10).fork()).join()
  return writer.uint32(18).bytes(response.payload).finish()
}

export function decodeResponse(bytes: Uint8Array): TtrpcResponse {
  const response: TtrpcResponse = { payload: Buffer.alloc(0) }
  const reader = new BinaryReader(bytes)
  while (reader.pos < reader.len) {
    const tag = reader.uint32()
    if (tag === 10) response.status = Status.decode(reader.bytes())
    else if (tag === 18) response.payload = Buffer.from(reader.bytes())
    else reader.skip(tag & 7)
  }
  return response
}

/** What both clients of the attach protocol (docs/attach.md) share: frames, and the way to a shim's socket. */
import { createConnection, type Socket } from 'node:net'
import { messageOf, unavailable } from '../errors/errors.ts'

export const frameType = { stdin: 0, stdout: 1, stderr: 2, stdinEnd: 3, resize: 4, exit: 5 } as const
export const frameHeaderBytes = 8
/** Longest first line that a shim may answer. */
export const maxHelloBytes = 64 * 1024

/** The first line of a client. */
export interface AttachRequest {
  stdin: boolean
  stdout: boolean
  stderr: boolean
  /** First what the log holds, then what comes, without a gap. */
  replay: boolean
}

/** UNAVAILABLE when no shim listens at `path`. */
export async function openAttachSocket(path: string): Promise<Socket> {
  const socket = createConnection({ path })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  socket.once('connect', resolve)
  socket.once('error', cause => reject(unavailable(`attach socket ${path}: ${messageOf(cause)}`, { cause })))
  await promise
  // Later failures end the stream; the listener keeps them from ending the process.
  socket.on('error', () => {})
  return socket
}

/** `[type, 0, 0, 0, u32be length]`. */
export function frameHeader(type: number, length: number): Buffer {
  const header = Buffer.alloc(frameHeaderBytes)
  header[0] = type
  header.writeUInt32BE(length, 4)
  return header
}

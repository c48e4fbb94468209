/** Joins a client's connection to a shim's stream: input one way, output the other, at the slower one's pace. */
import type { Duplex } from 'node:stream'
import type { Hijacked } from '../http/upgrade.ts'
import { DetachKeys } from './detach-keys.ts'
import type { ShimStream } from './shim-stream.ts'

export interface JoinOptions {
  /** The client may write. */
  stdin: boolean
  /** The end of the client's input is the end of the process' own. */
  endsStdin: boolean
  stdout: boolean
  stderr: boolean
  /** Output without the header before each piece. */
  unframed?: boolean
  /** Undefined: no keys detach. */
  detachKeys: Buffer | undefined
  /** Before the client learns of the end. */
  onExit?(exitCode: number): void
}

export type JoinEnd = 'exited' | 'detached' | 'client gone' | 'broken'

/** Resolves when the process, the client or the connection has ended; both are closed then. */
export async function join(client: Hijacked, stream: ShimStream, options: JoinOptions): Promise<JoinEnd> {
  const { promise, resolve } = Promise.withResolvers<JoinEnd>()
  const { socket } = client
  deliverOutput(socket, stream, options, resolve)
  feedInput(client, stream, options, resolve)
  socket.once('close', () => resolve('client gone'))
  const end = await promise
  stream.close()
  if (end === 'client gone') socket.destroy()
  else endGently(socket)
  return end
}

/** A client that never closes its side must not hold the connection for ever. */
export function endGently(socket: Duplex): void {
  socket.end()
  socket.resume()
  const timer = setTimeout(() => socket.destroy(), 5000)
  timer.unref()
  socket.once('close', () => clearTimeout(timer))
}

function deliverOutput(socket: Duplex, stream: ShimStream, options: JoinOptions, done: (end: JoinEnd) => void): void {
  stream.deliver({
    output(frame, payload) {
      if (!(frame[0] === 2 ? options.stderr : options.stdout)) return true
      if (socket.write(stream.tty || options.unframed ? payload : frame)) return true
      socket.once('drain', () => stream.resume())
      return false
    },
    end(exitCode) {
      if (exitCode !== undefined) options.onExit?.(exitCode)
      done(exitCode === undefined ? 'broken' : 'exited')
    },
  })
}

function feedInput(
  { socket, first }: Hijacked,
  stream: ShimStream,
  options: JoinOptions,
  done: (end: JoinEnd) => void,
) {
  const keys = options.detachKeys && new DetachKeys(options.detachKeys)
  const take = (bytes: Buffer) => {
    if (!options.stdin || bytes.length === 0) return
    const { pass, detached } = keys ? keys.feed(bytes) : { pass: bytes, detached: false }
    if (pass.length > 0 && !stream.write(pass)) {
      socket.pause()
      stream.onDrain(() => socket.resume())
    }
    if (detached) done('detached')
  }
  take(first)
  socket.on('data', take)
  const end = () => {
    if (options.stdin && options.endsStdin) stream.endStdin()
  }
  // A client without input may have ended it before the process was there.
  if (socket.readableEnded) end()
  else socket.once('end', end)
  socket.resume()
}

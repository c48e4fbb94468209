/** The user's own terminal and streams, joined to an attachment. */
import { once } from 'node:events'
import type { Attachment, ProcessExit } from './attach-client.ts'

/** Ctrl-P Ctrl-Q leaves the container running, as in Docker. */
const detachKeys = Buffer.from([16, 17])

export interface JoinOptions {
  /** Pass standard input on. */
  stdin: boolean
  /** The process has a terminal: raw mode, window size, detach keys. */
  tty: boolean
}

/**
 * Copies both ways until the process exits (its end), the user detaches or the connection breaks (undefined).
 * Restores the terminal whatever happens.
 */
export async function join(attachment: Attachment, options: JoinOptions): Promise<ProcessExit | undefined> {
  using restore = new DisposableStack()
  if (options.tty) followWindowSize(attachment, restore)
  const detached = options.stdin ? forwardInput(attachment, options.tty, restore) : new Promise<never>(() => {})
  return await Promise.race([copyOutput(attachment), detached])
}

async function copyOutput(attachment: Attachment): Promise<ProcessExit | undefined> {
  for await (const received of attachment.received) {
    if ('exit' in received) return received.exit
    const stream = received.stream === 'stdout' ? process.stdout : process.stderr
    if (!stream.write(received.bytes)) await once(stream, 'drain')
  }
  return undefined
}

/** Resolves when the user typed the detach keys. */
function forwardInput(attachment: Attachment, tty: boolean, restore: DisposableStack): Promise<undefined> {
  const input = process.stdin
  const { promise, resolve } = Promise.withResolvers<undefined>()
  if (tty && input.isTTY) {
    input.setRawMode(true)
    restore.defer(() => input.setRawMode(false))
  }
  const onData = (bytes: Buffer) => {
    if (tty && isDetach(bytes)) return resolve(undefined)
    input.pause()
    void attachment.send(bytes).then(() => input.resume())
  }
  const onEnd = () => attachment.endStdin()
  input.on('data', onData).on('end', onEnd)
  restore.defer(() => void input.off('data', onData).off('end', onEnd).pause().unref())
  return promise
}

let sawFirstKey = false
/** The two keys may come in one read or in two. */
function isDetach(bytes: Buffer): boolean {
  if (bytes.includes(detachKeys)) return true
  const second = sawFirstKey && bytes[0] === detachKeys[1]
  sawFirstKey = bytes.at(-1) === detachKeys[0]
  return second
}

function followWindowSize(attachment: Attachment, restore: DisposableStack): void {
  const tell = () => attachment.resize(process.stdout.rows ?? 24, process.stdout.columns ?? 80)
  if (!process.stdout.isTTY) return
  tell()
  process.stdout.on('resize', tell)
  restore.defer(() => void process.stdout.off('resize', tell))
}

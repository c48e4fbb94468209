/** The user's own terminal and streams, joined to an attachment. */
import { once } from 'node:events'
import type { Attachment, ProcessExit } from '#api/attach/attach-client.ts'
import { DetachKeys } from './detach-keys.ts'

export interface JoinOptions {
  /** Pass standard input on. */
  stdin: boolean
  /** The process has a terminal: raw mode, window size, detach keys. */
  tty: boolean
}

/** `detached`: the user left it running. `broken`: the shim is gone, and did not say how the process ended. */
export type JoinEnd = ProcessExit | 'detached' | 'broken'

/** Copies both ways until one of the ends. Restores the terminal whatever happens. */
export async function join(attachment: Attachment, options: JoinOptions): Promise<JoinEnd> {
  using restore = new DisposableStack()
  if (options.tty) followWindowSize(attachment, restore)
  if (options.tty && options.stdin) await enterRawMode(restore)
  const detached = options.stdin ? forwardInput(attachment, options.tty, restore) : new Promise<never>(() => {})
  return await Promise.race([copyOutput(attachment), detached])
}

async function copyOutput(attachment: Attachment): Promise<JoinEnd> {
  endWithReader(process.stdout)
  for await (const received of attachment.received) {
    if ('exit' in received) return received.exit
    const stream = received.stream === 'stdout' ? process.stdout : process.stderr
    if (!stream.write(received.bytes)) await once(stream, 'drain')
  }
  return 'broken'
}

/** As SIGPIPE would: nobody reads any more. The container goes on, as in Docker. */
export function endWithReader(stream: NodeJS.WriteStream): void {
  stream.once('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(141)
  })
}

/** Resolves when the user typed the detach keys. */
function forwardInput(attachment: Attachment, tty: boolean, restore: DisposableStack): Promise<'detached'> {
  const input = process.stdin
  const keys = new DetachKeys()
  const { promise, resolve } = Promise.withResolvers<'detached'>()
  const onData = (bytes: Buffer) => {
    const { pass, detached } = tty ? keys.feed(bytes) : { pass: bytes, detached: false }
    input.pause()
    void attachment.send(pass).then(() => (detached ? resolve('detached') : input.resume()))
  }
  const onEnd = () => attachment.endStdin()
  input.on('data', onData).on('end', onEnd)
  restore.defer(() => {
    input.off('data', onData).off('end', onEnd).pause()
    // A file or /dev/null as standard input has none, and holds nobody up.
    input.unref?.()
  })
  return promise
}

/** Every key goes to the container, and what it prints comes as it is: Node's raw mode alone turns LF into CR LF. */
async function enterRawMode(restore: DisposableStack): Promise<void> {
  const input = process.stdin
  if (!input.isTTY) return
  input.setRawMode(true)
  restore.defer(() => input.setRawMode(false))
  const { spawnSync } = await import('node:child_process')
  spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] })
}

function followWindowSize(attachment: Attachment, restore: DisposableStack): void {
  const tell = () => attachment.resize(process.stdout.rows ?? 24, process.stdout.columns ?? 80)
  if (!process.stdout.isTTY) return
  tell()
  process.stdout.on('resize', tell)
  restore.defer(() => void process.stdout.off('resize', tell))
}

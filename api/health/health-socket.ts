/**
 * The client's side of a container's health socket (docs/health.md): what is known at first, then each probe as it ends.
 * A message is its length (u32, big-endian) and a `gantry.health.v1.Health`.
 */
import { createConnection } from 'node:net'
import { Health } from '../gen/gantry/health/v1/health.ts'

const lengthBytes = 4
/** Five probes with what they said are some 20 KiB. */
const maxMessageBytes = 1024 * 1024

/** Asking a shim takes a millisecond; one that is stopped or out of memory shall not hold up its asker. */
const answerTimeoutMs = 2000

export interface HealthListener {
  /** First what is known, with the log of the last probes; then, for each probe, with that one alone in the log. */
  told(health: Health): void
  /** The container has ended, or nobody serves the socket. Not called after disposal. */
  ended?(): void
}

/** Connects and listens until disposed of, or the container's end. Never throws. */
export function followHealth(path: string, listener: HealthListener): Disposable {
  const socket = createConnection({ path })
  const messages = new Messages(health => listener.told(health))
  let disposed = false
  socket.on('data', chunk => {
    if (!messages.take(chunk)) socket.destroy()
  })
  // What failed is told by the close that follows.
  socket.on('error', () => {})
  socket.once('close', () => {
    if (!disposed) listener.ended?.()
  })
  return {
    [Symbol.dispose]: () => {
      disposed = true
      socket.destroy()
    },
  }
}

/** What is known now; undefined when no shim answers. */
export async function askHealth(path: string): Promise<Health | undefined> {
  const { promise, resolve } = Promise.withResolvers<Health | undefined>()
  using _following = followHealth(path, { told: resolve, ended: () => resolve(undefined) })
  const timer = setTimeout(() => resolve(undefined), answerTimeoutMs)
  try {
    return await promise
  } finally {
    clearTimeout(timer)
  }
}

/** Cuts a stream of bytes into messages. */
class Messages {
  readonly #told: (health: Health) => void
  #rest: Buffer = Buffer.alloc(0)

  constructor(told: (health: Health) => void) {
    this.#told = told
  }

  /** False for a length that no shim sends. */
  take(chunk: Buffer): boolean {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    while (this.#rest.length >= lengthBytes) {
      const end = lengthBytes + this.#rest.readUInt32BE(0)
      if (end > maxMessageBytes) return false
      if (this.#rest.length < end) return true
      const message = Health.decode(this.#rest.subarray(lengthBytes, end))
      this.#rest = this.#rest.subarray(end)
      this.#told(message)
    }
    return true
  }
}

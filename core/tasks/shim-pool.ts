/**
 * Shims of ours that are there before their containers: a start then pays for no process but the container's own.
 *
 * A waiting shim belongs to this daemon: it ends with our end of its standard input, however we end. One that is taken
 * gets its assignment, and is from then on like any other: it outlives us. The pool is empty until the first start, so
 * that an idle daemon keeps no processes, and is filled again a moment after each, out of that start's way.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { basename } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { messageOf, unavailable } from '#api/errors/errors.ts'
import { Options } from '#api/gen/containerd/runc/v1/options.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'
import type { Logger } from '#api/log/log.ts'
import type { Bootstrap, Bundle } from './bundle.ts'
import { parseAnswer, type ShimSurroundings, shimEnvironment } from './shim-process.ts'

export interface ShimPoolParts {
  surroundings: ShimSurroundings
  logger: Logger
}

type WaitingShim = ChildProcessByStdio<Writable, Readable, null>

/** Ours alone can wait. */
const ownShim = 'containerd-shim-gantry-v1'
/** Two starts at a time are as many as two cores carry. */
const size = 2
/**
 * After the last of several starts: by then a short container has ended. A process costs the event loop some milliseconds,
 * which no start should wait for.
 */
const refillMs = 100
const answerTimeoutMs = 10_000
/** Containers of one group share a shim, which `start` finds out about. */
const groupAnnotations = ['io.containerd.runc.v2.group', 'io.kubernetes.cri.sandbox-id']

/** Whether a shim that was started without knowing the container can serve it. */
export function canBePooled(shimPath: string, options: Any | undefined, configJson: Uint8Array): boolean {
  if (basename(shimPath) !== ownShim) return false
  const text = Buffer.from(configJson.buffer, configJson.byteOffset, configJson.byteLength)
  if (groupAnnotations.some(name => text.includes(name))) return false
  if (options === undefined) return true
  return options.typeUrl === 'containerd.runc.v1.Options' && Options.decode(options.value).shimCgroup === ''
}

export class ShimPool implements Disposable {
  readonly #parts: ShimPoolParts
  readonly #waiting = new Set<WaitingShim>()
  #shimPath = ''
  #refill: NodeJS.Timeout | undefined
  #closed = false

  constructor(parts: ShimPoolParts) {
    this.#parts = parts
  }

  /**
   * How to reach a shim that is the bundle's from now on. Undefined: none waits; start one. UNAVAILABLE, and the shim is killed,
   * when it does not answer: nothing was done for the container.
   */
  async take(shimPath: string, bundle: Bundle): Promise<Bootstrap | undefined> {
    if (shimPath !== this.#shimPath) this.#drain()
    this.#shimPath = shimPath
    this.#refillLater()
    const [shim] = this.#waiting
    if (shim === undefined) return undefined
    this.#waiting.delete(shim)
    try {
      const { namespace, id, path } = bundle
      const { debug } = this.#parts.surroundings
      shim.stdin.write(`${JSON.stringify({ namespace, id, bundle: path, debug })}\n`)
      return parseAnswer(shimPath, await firstLine(shim))
    } catch (cause) {
      shim.kill('SIGKILL')
      throw unavailable(`a waiting shim did not take ${bundle.id}: ${messageOf(cause)}`, { cause })
    } finally {
      shim.stdin.destroy()
      shim.stdout.destroy()
    }
  }

  #refillLater(): void {
    if (this.#closed) return
    clearTimeout(this.#refill)
    this.#refill = setTimeout(() => this.#fill(), refillMs)
    this.#refill.unref()
  }

  #fill(): void {
    while (!this.#closed && this.#waiting.size < size) this.#add()
  }

  #add(): void {
    const { address, publishBinary } = this.#parts.surroundings
    const shim = spawn(this.#shimPath, ['-address', address, '-publish-binary', publishBinary, 'await'], {
      cwd: '/',
      env: shimEnvironment(this.#parts.surroundings),
      stdio: ['pipe', 'pipe', 'ignore'],
      detached: true,
    })
    shim.unref()
    // What it says to a broken pipe, or why it could not be started, is told by its end.
    for (const stream of [shim.stdin, shim.stdout]) stream.on('error', () => {})
    shim.on('error', error => this.#lost(shim, messageOf(error)))
    shim.on('exit', code => this.#lost(shim, `it ended with ${code}`))
    this.#waiting.add(shim)
  }

  /** Not replaced before the next start: one that cannot run would be started for ever. */
  #lost(shim: WaitingShim, why: string): void {
    if (this.#waiting.delete(shim)) this.#parts.logger.warn({ shim: this.#shimPath }, `a waiting shim is gone: ${why}`)
  }

  #drain(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const shim of waiting) shim.stdin.destroy()
  }

  [Symbol.dispose](): void {
    this.#closed = true
    clearTimeout(this.#refill)
    this.#drain()
  }
}

/** Throws when there is none, in time. */
function firstLine(shim: WaitingShim): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  let text = ''
  shim.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString()
    if (text.includes('\n')) resolve(text.trim())
  })
  shim.stdout.on('close', () => reject(new Error('it ended without an answer')))
  const timer = setTimeout(() => reject(new Error(`no answer in ${answerTimeoutMs} ms`)), answerTimeoutMs)
  return promise.finally(() => clearTimeout(timer))
}

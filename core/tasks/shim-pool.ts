/**
 * Shims of ours that are there before their containers: a start then pays for no process but the container's own.
 *
 * A waiting shim belongs to this daemon: it ends with our end of its standard input, however we end. One that is taken
 * gets its assignment, and is from then on like any other: it outlives us. The pool is empty until the first start, so
 * that an idle daemon keeps no processes, and is filled again a moment after each, out of that start's way.
 */
import { basename } from 'node:path'
import { messageOf, unavailable } from '#api/errors/errors.ts'
import { Options } from '#api/gen/containerd/runc/v1/options.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'
import type { Logger } from '#api/log/log.ts'
import type { Bootstrap, Bundle } from './bundle.ts'
import { Children } from './children.ts'
import { parseAnswer, type ShimSurroundings } from './shim-process.ts'
import { startWaitingShim, type WaitingShim } from './waiting-shim.ts'

export interface ShimPoolParts {
  surroundings: ShimSurroundings
  logger: Logger
}

/** Ours alone can wait. */
const ownShim = 'containerd-shim-gantry-v1'
/** Two starts at a time are as many as two cores carry. */
const size = 2
/** After a start that took one: by then a short container has ended, and two cores are not busy with it any more. */
const refillMs = 50
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
  readonly #children = new Children()
  #starting = 0
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
      return parseAnswer(shimPath, await shim.assign({ namespace, id, bundle: path, debug }))
    } catch (cause) {
      if (this.#children.has(shim.pid)) process.kill(shim.pid, 'SIGKILL')
      throw unavailable(`a waiting shim did not take ${bundle.id}: ${messageOf(cause)}`, { cause })
    }
  }

  #refillLater(): void {
    if (this.#closed || this.#refill !== undefined) return
    this.#refill = setTimeout(() => this.#fill(), refillMs).unref()
  }

  #fill(): void {
    this.#refill = undefined
    while (!this.#closed && this.#waiting.size + this.#starting < size) void this.#add(this.#shimPath)
  }

  async #add(shimPath: string): Promise<void> {
    this.#starting++
    try {
      const shim = await startWaitingShim(shimPath, this.#parts.surroundings)
      if (this.#closed || shimPath !== this.#shimPath) shim[Symbol.dispose]()
      else this.#waiting.add(shim)
      this.#children.watch(shim.pid, code => this.#ended(shim, code))
    } catch (error) {
      this.#parts.logger.warn({ shim: shimPath, err: error }, 'no shim can be started ahead')
    } finally {
      this.#starting--
    }
  }

  /** Not replaced before the next start: one that cannot run would be started for ever. */
  #ended(shim: WaitingShim, code: number): void {
    if (!this.#waiting.delete(shim)) return
    shim[Symbol.dispose]()
    this.#parts.logger.warn({ shim: this.#shimPath }, `a waiting shim is gone: it ended with ${code}`)
  }

  #drain(): void {
    for (const shim of this.#waiting) shim[Symbol.dispose]()
    this.#waiting.clear()
  }

  [Symbol.dispose](): void {
    this.#closed = true
    clearTimeout(this.#refill)
    this.#drain()
    this.#children[Symbol.dispose]()
  }
}

/**
 * Lets calls through to one plugin: so many at once, so many waiting, none while it is shut for a change of process. A
 * plugin that is slow fills its own queue and nobody else's.
 */
import { resourceExhausted, unavailable } from '#api/errors/errors.ts'

export interface GateLimits {
  /** Calls that may be with the plugin at once. */
  readonly maxInFlight: number
  /** Calls that may wait for their turn. */
  readonly maxQueued: number
  /** How long one may wait. */
  readonly queueMs: number
}

export const defaultGateLimits: GateLimits = { maxInFlight: 256, maxQueued: 4_096, queueMs: 60_000 }

interface Waiter {
  admit(): void
}

export class CallGate {
  readonly #label: string
  readonly #limits: GateLimits
  readonly #waiting = new Set<Waiter>()
  #inFlight = 0
  #shut = false
  #idle: (() => void) | undefined

  constructor(label: string, limits: GateLimits) {
    this.#label = label
    this.#limits = limits
  }

  get inFlight(): number {
    return this.#inFlight
  }

  get queued(): number {
    return this.#waiting.size
  }

  /**
   * Resolves when the call may go; {@link leave} must follow. RESOURCE_EXHAUSTED: the queue is full. UNAVAILABLE: it was
   * not its turn in time.
   */
  async enter(): Promise<void> {
    if (!this.#shut && this.#inFlight < this.#limits.maxInFlight) {
      this.#inFlight++
      return
    }
    const { maxQueued, maxInFlight, queueMs } = this.#limits
    if (this.#waiting.size >= maxQueued)
      throw resourceExhausted(
        `${this.#label}: ${this.#waiting.size} calls wait for it already (${maxInFlight} are with it)`,
      )
    await this.#turn(queueMs)
  }

  #turn(queueMs: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiter = {
      admit: () => {
        clearTimeout(timer)
        this.#waiting.delete(waiter)
        this.#inFlight++
        resolve()
      },
    }
    const timer = setTimeout(() => {
      this.#waiting.delete(waiter)
      reject(unavailable(`${this.#label}: the call waited ${queueMs} ms for its turn (${this.#inFlight} are with it)`))
    }, queueMs)
    this.#waiting.add(waiter)
    return promise
  }

  leave(): void {
    this.#inFlight--
    this.#admit()
    if (this.#inFlight === 0) this.#idle?.()
  }

  #admit(): void {
    for (const waiter of this.#waiting) {
      if (this.#shut || this.#inFlight >= this.#limits.maxInFlight) return
      waiter.admit()
    }
  }

  /** From now on calls wait. */
  shut(): void {
    this.#shut = true
  }

  open(): void {
    this.#shut = false
    this.#admit()
  }

  /** Whether the calls under way ended within the time. Only while shut. */
  async drained(timeoutMs: number): Promise<boolean> {
    if (this.#inFlight === 0) return true
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const timer = setTimeout(() => resolve(false), timeoutMs)
    this.#idle = () => resolve(true)
    const drained = await promise
    clearTimeout(timer)
    this.#idle = undefined
    return drained
  }
}

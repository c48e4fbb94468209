import { setImmediate } from 'node:timers/promises'

/** Keeps long work from stopping the event loop: between steps it lets others run when its turn is used up. */
export class Pace {
  readonly #turnMs: number
  #since = performance.now()
  #longestMs = 0
  #endedMs = 0

  /** `turnMs`: how long the work may keep others waiting; a step that is under way is not cut short. */
  constructor(turnMs = 4) {
    this.#turnMs = turnMs
  }

  /** True when it is time to let others run. */
  isOver(): boolean {
    return performance.now() - this.#since >= this.#turnMs
  }

  /** To be called between steps; returns at once while the turn lasts. */
  async step(): Promise<void> {
    if (this.isOver()) await this.yield()
  }

  /** Lets everything that is due run. */
  async yield(): Promise<void> {
    this.#end()
    await setImmediate()
    this.#since = performance.now()
  }

  /** All turns so far together, in milliseconds. */
  get spentMs(): number {
    return this.#endedMs + performance.now() - this.#since
  }

  /** Longest turn so far, in milliseconds. */
  get longestMs(): number {
    this.#settle()
    return this.#longestMs
  }

  #end(): void {
    this.#settle()
    this.#endedMs = this.spentMs
  }

  #settle(): void {
    this.#longestMs = Math.max(this.#longestMs, performance.now() - this.#since)
  }
}

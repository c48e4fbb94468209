import { messageOf } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'

/** Slow clean-up behind answers, by task: the next task of the same id waits for it, and so does the daemon's end. */
export class Cleanups {
  readonly #pending = new Map<string, Promise<void>>()
  readonly #logger: Logger

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** Starts the steps one after the other; a failed one is logged and left to the next start of the daemon. */
  run(ns: string, id: string, steps: readonly (() => Promise<unknown> | unknown)[]): void {
    const key = `${ns}/${id}`
    const before = this.#pending.get(key) ?? Promise.resolve()
    const work: Promise<void> = before
      .then(() => this.#all(ns, id, steps))
      .finally(() => {
        if (this.#pending.get(key) === work) this.#pending.delete(key)
      })
    this.#pending.set(key, work)
  }

  async #all(ns: string, id: string, steps: readonly (() => Promise<unknown> | unknown)[]): Promise<void> {
    for (const step of steps) {
      try {
        await step()
      } catch (error) {
        this.#logger.warn({ ns, id, err: error }, `clean-up of a task: ${messageOf(error)}`)
      }
    }
  }

  /** Of one task. */
  async settled(ns: string, id: string): Promise<void> {
    await this.#pending.get(`${ns}/${id}`)
  }

  /** Of all, waiting `graceMs` at most. */
  async allSettled(graceMs: number): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, graceMs)
    await Promise.race([Promise.all(this.#pending.values()), late])
    clearTimeout(timer)
  }
}

/** Mutual exclusion by name, within one process. */
export class KeyedLock {
  readonly #tails = new Map<string, Promise<void>>()

  /** Runs `body` when all earlier bodies of the same key have ended, whatever became of them. */
  async run<T>(key: string, body: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key)
    const { promise: tail, resolve: release } = Promise.withResolvers<void>()
    this.#tails.set(key, tail)
    try {
      await before
      return await body()
    } finally {
      release()
      if (this.#tails.get(key) === tail) this.#tails.delete(key)
    }
  }
}

/** Runs bodies with the same key one after the other, in the order of asking. */
export class KeyedLock {
  readonly #tails = new Map<string, Promise<unknown>>()

  async run<T>(key: string, body: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key)
    const turn = (before ?? Promise.resolve()).then(body, body)
    const tail = turn.catch(() => {})
    this.#tails.set(key, tail)
    try {
      return await turn
    } finally {
      if (this.#tails.get(key) === tail) this.#tails.delete(key)
    }
  }
}

/** One timer for each container at most; a later one takes the place of an earlier. */
export class Alarms implements Disposable {
  readonly #timers = new Map<string, { timer: NodeJS.Timeout; atMs: number }>()
  #closed = false

  set(ns: string, id: string, afterMs: number, ring: () => void): void {
    this.cancel(ns, id)
    if (this.#closed) return
    const key = keyOf(ns, id)
    const timer = setTimeout(() => {
      this.#timers.delete(key)
      ring()
    }, afterMs)
    this.#timers.set(key, { timer, atMs: Date.now() + afterMs })
  }

  /** When it rings, in milliseconds since 1970; undefined: it is not set. */
  at(ns: string, id: string): number | undefined {
    return this.#timers.get(keyOf(ns, id))?.atMs
  }

  /** True when one was set. */
  cancel(ns: string, id: string): boolean {
    const key = keyOf(ns, id)
    clearTimeout(this.#timers.get(key)?.timer)
    return this.#timers.delete(key)
  }

  [Symbol.dispose](): void {
    this.#closed = true
    for (const { timer } of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
  }
}

const keyOf = (ns: string, id: string) => JSON.stringify([ns, id])

/** How long an answer may be given again: a client's `prepare` and `mounts` of one container are milliseconds apart. */
const freshMs = 1000
/** Entries kept at once; each is some hundred bytes. */
const maxEntries = 1024

/**
 * A backend's answers by key, for a moment, and for no longer than one connection lives: whoever answers after a restart
 * is asked again. Keys name one snapshot for ever, so that only a change through us, or behind our back, can make an
 * answer wrong; the first forgets it, the second is noticed after {@link freshMs}.
 */
export class RecentAnswers<T> {
  readonly #entries = new Map<string, { value: T; untilMs: number; connection: object }>()

  set(key: string, value: T, connection: object): void {
    this.#entries.delete(key)
    this.#entries.set(key, { value, untilMs: performance.now() + freshMs, connection })
    if (this.#entries.size <= maxEntries) return
    const [oldest] = this.#entries.keys()
    if (oldest !== undefined) this.#entries.delete(oldest)
  }

  /** Undefined: ask. */
  get(key: string, connection: object): T | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    if (entry.connection === connection && performance.now() < entry.untilMs) return entry.value
    this.#entries.delete(key)
    return undefined
  }

  forget(key: string): void {
    this.#entries.delete(key)
  }
}

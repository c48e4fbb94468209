/**
 * Names of things outside the store that a call in flight is about to record. A sweep that reads what exists first and
 * what is wanted (records and announcements) second never takes such a thing for garbage.
 */
export class Announcements {
  readonly #counts = new Map<string, number>()

  /** Announces until disposed; the same name may be announced several times. */
  announce(...names: string[]): Disposable {
    for (const name of names) this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1)
    return {
      [Symbol.dispose]: () => {
        for (const name of names) this.#withdraw(name)
      },
    }
  }

  has(name: string): boolean {
    return this.#counts.has(name)
  }

  #withdraw(name: string): void {
    const left = (this.#counts.get(name) ?? 1) - 1
    if (left > 0) this.#counts.set(name, left)
    else this.#counts.delete(name)
  }
}

/** Counts the calls that a server is answering, so that its shutdown can wait for the last one. */
export class CallsInFlight {
  #count = 0
  #idle = Promise.withResolvers<void>()

  constructor() {
    this.#idle.resolve()
  }

  /** Counts a call until its promise settles; a rejection is its owner's affair. */
  track(call: Promise<void>): void {
    if (this.#count++ === 0) this.#idle = Promise.withResolvers<void>()
    const end = () => {
      if (--this.#count === 0) this.#idle.resolve()
    }
    call.then(end, end)
  }

  /** Resolves when no call is being answered. */
  async ended(): Promise<void> {
    while (this.#count > 0) await this.#idle.promise
  }
}

import type { Health } from './health.ts'

/** Serving from birth until told otherwise. */
export class DaemonHealth implements Health {
  readonly #listeners = new Set<(serving: boolean) => void>()
  #serving = true

  get serving(): boolean {
    return this.#serving
  }

  set serving(serving: boolean) {
    this.#serving = serving
    for (const listener of this.#listeners) listener(serving)
  }

  onChange(listener: (serving: boolean) => void, signal: AbortSignal): void {
    this.#listeners.add(listener)
    signal.addEventListener('abort', () => this.#listeners.delete(listener), { once: true })
  }
}

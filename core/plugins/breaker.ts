/**
 * Spares callers a plugin that does not answer. After some calls in a row without an answer it opens: further calls fail
 * at once, with the reason, while a probe asks the plugin's health; the first good answer closes it.
 */
import { unavailable } from '#api/errors/errors.ts'

export interface BreakerOptions {
  /** What is broken, for messages: `snapshotter "overlayfs"`. */
  readonly label: string
  /** Calls in a row without an answer. */
  readonly threshold: number
  /** Between two probes. */
  readonly probeEveryMs: number
  /** Whether the plugin answers now; bounds its own time. */
  probe(): Promise<boolean>
}

export class Breaker {
  readonly #options: BreakerOptions
  #unanswered = 0
  #reason: string | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: BreakerOptions) {
    this.#options = options
  }

  /** Why no call goes through; undefined while they do. */
  get openSince(): string | undefined {
    return this.#reason
  }

  /** UNAVAILABLE while open. */
  check(): void {
    if (this.#reason === undefined) return
    throw unavailable(
      `${this.#options.label} is not called until it answers its health check; before, it ${this.#reason}`,
    )
  }

  answered(): void {
    this.#unanswered = 0
  }

  /** `what`: what it failed to do, such as `did not answer Stat in 10s`. */
  unanswered(what: string): void {
    this.#unanswered++
    if (this.#unanswered < this.#options.threshold || this.#reason !== undefined) return
    this.#reason = what
    this.#timer = setInterval(() => void this.#probe(), this.#options.probeEveryMs).unref()
  }

  async #probe(): Promise<void> {
    const timer = this.#timer
    if (await this.#options.probe()) {
      if (timer === this.#timer) this.close()
    }
  }

  /** Another process answers now, or nothing does any more. */
  close(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#reason = undefined
    this.#unanswered = 0
  }
}

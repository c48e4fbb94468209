/** The cache's budget: looked after when a build has ended, and not again for a while. */
import type { Pruned, PrunePolicy } from './prune-cache.ts'

const pauseMs = 60_000

export interface BudgetOptions {
  readonly keepBytes: bigint
  /** What was not used for so long goes, whatever is left; 0: it stays. */
  readonly keepMs: number
  prune(policy: PrunePolicy): Promise<Pruned>
}

export class Budget {
  readonly #options: BudgetOptions
  #lookedAtMs = Number.NEGATIVE_INFINITY
  #looking: Promise<unknown> = Promise.resolve()

  constructor(options: BudgetOptions) {
    this.#options = options
  }

  /** Begins to look after it, if it is time; a failure is the next time's to mend. */
  buildEnded(nowMs = Date.now()): void {
    if (nowMs - this.#lookedAtMs < pauseMs) return
    this.#lookedAtMs = nowMs
    this.#looking = this.#look(nowMs).catch(() => undefined)
  }

  /** Resolves when nobody looks any more. */
  async idle(): Promise<void> {
    await this.#looking
  }

  async #look(nowMs: number): Promise<void> {
    const { keepBytes, keepMs, prune } = this.#options
    if (keepMs > 0) await prune({ keepBytes: 0n, unusedSinceMs: nowMs - keepMs })
    if (keepBytes > 0n) await prune({ keepBytes, unusedSinceMs: nowMs })
  }
}

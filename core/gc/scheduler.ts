import { messageOf } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import type { Metadata } from '#core/metadata/metadata.ts'
import type { GcStats } from './gc.ts'

export interface GcSchedulerOptions {
  readonly metadata: Metadata
  readonly collect: () => Promise<GcStats>
  readonly logger: Logger
  /** Share of time that collections may work on records, by their average; at most 0.5. Default 0.02. */
  readonly pauseThreshold?: number
  /** So many deletions make a collection due at once; 0: each waits for its turn. Default 0. */
  readonly deletionThreshold?: number
  /** So many writes make a collection due; 0: writes alone never do. Default 100. */
  readonly mutationThreshold?: number
  /** Milliseconds from being due to running. Default 0. */
  readonly scheduleDelayMs?: number
  /** Milliseconds from {@link GcScheduler.start} to the first collection. Default 100. */
  readonly startupDelayMs?: number
}

/** Below this an average says nothing. */
const minimumCollectionMs = 5
const retryMs = 1000

/**
 * Decides when to collect, with the knobs and defaults of containerd's scheduler: after deletions, after many writes,
 * and when somebody waits, but never so often that collections take more than their share of time. Idle costs nothing:
 * no timer runs when nothing changed.
 */
export class GcScheduler {
  readonly #options: Required<GcSchedulerOptions>
  #timer: NodeJS.Timeout | undefined
  #dueAt = Number.POSITIVE_INFINITY
  #running: Promise<GcStats> | undefined
  #next: Promise<GcStats> | undefined
  #active = false
  #deletions = 0
  #mutations = 0
  #collections = 0
  #spentMs = 0
  #earliest = 0

  constructor(options: GcSchedulerOptions) {
    this.#options = {
      deletionThreshold: 0,
      mutationThreshold: 100,
      scheduleDelayMs: 0,
      startupDelayMs: 100,
      ...options,
      pauseThreshold: Math.min(Math.max(options.pauseThreshold ?? 0.02, 0), 0.5),
    }
    options.metadata.onMutation(frees => this.#changed(frees))
  }

  /** Schedules the first collection, and from then on reacts to changes. */
  start(): void {
    this.#active = true
    this.#schedule(Date.now() + this.#options.startupDelayMs)
  }

  /** Cancels what is scheduled and waits for a collection under way. */
  async stop(): Promise<void> {
    this.#active = false
    clearTimeout(this.#timer)
    await this.#running?.catch(() => {})
  }

  /** A whole collection that begins after this call; callers that come while one runs share the next. */
  collectNow(): Promise<GcStats> {
    if (this.#running === undefined) return this.#run()
    this.#next ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#next = undefined
        return this.#run()
      })
    return this.#next
  }

  #changed(frees: boolean): void {
    this.#mutations++
    if (frees) this.#deletions++
    const { deletionThreshold, scheduleDelayMs } = this.#options
    const at = Date.now() + scheduleDelayMs
    if (deletionThreshold > 0 && this.#deletions >= deletionThreshold) this.#schedule(at)
    else if (this.#isDue() && deletionThreshold === 0) this.#schedule(Math.max(at, this.#earliest))
  }

  #isDue(): boolean {
    const { mutationThreshold } = this.#options
    return this.#deletions > 0 || (mutationThreshold > 0 && this.#mutations >= mutationThreshold)
  }

  #schedule(at: number): void {
    if (!this.#active || this.#running !== undefined || at >= this.#dueAt) return
    clearTimeout(this.#timer)
    this.#dueAt = at
    this.#timer = setTimeout(() => void this.#run().catch(() => {}), Math.max(0, at - Date.now()))
    this.#timer.unref()
  }

  #run(): Promise<GcStats> {
    this.#running = this.#collect().finally(() => {
      this.#running = undefined
      if (this.#isDue()) this.#schedule(this.#earliest)
    })
    return this.#running
  }

  async #collect(): Promise<GcStats> {
    clearTimeout(this.#timer)
    this.#dueAt = Number.POSITIVE_INFINITY
    const [deletions, mutations] = [this.#deletions, this.#mutations]
    this.#deletions = this.#mutations = 0
    try {
      const stats = await this.#options.collect()
      this.#settle(stats.workMs)
      return stats
    } catch (error) {
      this.#options.logger.error({ err: error }, `garbage collection failed: ${messageOf(error)}`)
      this.#deletions += deletions
      this.#mutations += mutations
      this.#earliest = Date.now() + retryMs
      throw error
    }
  }

  /** The next one waits until the average collection is at most its share of the time between two. */
  #settle(workMs: number): void {
    const { pauseThreshold } = this.#options
    this.#collections++
    this.#spentMs += workMs
    const average = Math.max(this.#spentMs / this.#collections, minimumCollectionMs)
    this.#earliest = Date.now() + (pauseThreshold > 0 ? average / pauseThreshold - average : retryMs)
  }
}

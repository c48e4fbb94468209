/**
 * Notices bridges of ours that others delete, take down or strip of their addresses, and has them made again: rtnetlink's
 * multicast groups say so at once. The networks' containers keep their interfaces (a deleted bridge lets its ports go),
 * so they only join the new one.
 */
import { messageOf } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import { watchLinks } from '#sdk/rtnetlink/link-events.ts'

/** Whoever deletes does more within a moment: look when it is quiet. */
const quietMs = 20

export interface LinkWatchParts {
  /** The network that has a bridge of that name now; undefined: none of ours. */
  networkOf(bridge: string): string | undefined
  /** Whether its bridge is as it should be. */
  isWhole(networkId: string): Promise<boolean>
  repair(networkId: string): Promise<void>
  readonly log: Logger
}

export class LinkWatch implements Disposable {
  readonly #parts: LinkWatchParts
  readonly #subscription: Disposable
  readonly #timers = new Map<string, NodeJS.Timeout>()

  constructor(parts: LinkWatchParts) {
    this.#parts = parts
    this.#subscription = watchLinks(name => this.#note(name))
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]()
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
  }

  #note(bridge: string): void {
    const networkId = this.#parts.networkOf(bridge)
    if (networkId === undefined || this.#timers.has(networkId)) return
    const look = () => {
      this.#timers.delete(networkId)
      void this.#look(networkId, bridge)
    }
    this.#timers.set(networkId, setTimeout(look, quietMs).unref())
  }

  async #look(networkId: string, bridge: string): Promise<void> {
    const { isWhole, repair, networkOf, log } = this.#parts
    try {
      if (networkOf(bridge) !== networkId || (await isWhole(networkId))) return
      const startedMs = performance.now()
      await repair(networkId)
      const tookMs = Math.round(performance.now() - startedMs)
      log.warn({ bridge, networkId, tookMs }, 'a bridge was removed or changed by others: made again')
    } catch (error) {
      log.error({ bridge, networkId, reason: messageOf(error) }, 'a bridge was changed by others and is not whole')
    }
  }
}

/** Links on their way out: the kernel takes some ten milliseconds for each, and nobody waits for it. */
import type { Logger } from '#api/log/log.ts'
import type { StepHook } from '#sdk/step-hook.ts'
import type { Guards } from './egress/guards.ts'
import { unplug } from './endpoint.ts'
import type { Departure, Ledger } from './ledger.ts'

export class Removals {
  readonly #ledger: Ledger
  readonly #log: Logger
  readonly #step: StepHook
  readonly #guards: Pick<Guards, 'lift'>
  /** Under way, by link. */
  readonly #running = new Map<string, Promise<void>>()

  constructor(ledger: Ledger, guards: Pick<Guards, 'lift'>, { log, step }: { log: Logger; step: StepHook }) {
    this.#guards = guards
    this.#ledger = ledger
    this.#log = log
    this.#step = step
  }

  /** Never rejects: what fails stays written down for the next start. */
  remove(departure: Departure): Promise<void> {
    const { hostLink } = departure
    const known = this.#running.get(hostLink)
    if (known) return known
    const removal = unplug(hostLink)
      .then(async () => {
        this.#step('link removed')
        // Until now it could still have sent; from now on its addresses may be another's.
        await this.#guards.lift(hostLink)
        this.#ledger.departed(departure)
        this.#step('departure forgotten')
      })
      .catch(error => this.#log.error({ err: error, link: hostLink }, 'removing a link failed'))
      .finally(() => this.#running.delete(hostLink))
    this.#running.set(hostLink, removal)
    return removal
  }

  isRunning(hostLink: string): boolean {
    return this.#running.has(hostLink)
  }

  resume(): void {
    for (const departure of this.#ledger.departures()) void this.remove(departure)
  }

  async settled(): Promise<void> {
    await Promise.allSettled(this.#running.values())
  }
}

/** Finds and removes what is ours by its name or its place, and belongs to nothing in the ledger; leftovers/ says what. */
import type { Logger } from '#api/log/log.ts'
import type { Firewall } from '#sdk/iptables-wrapper/firewall.ts'
import { removeLeftovers } from '#sdk/leftover.ts'
import type { Guards } from './egress/guards.ts'
import type { AttachmentRow, Ledger } from './ledger.ts'
import { strayFlows } from './leftovers/flows.ts'
import { straysInContainers } from './leftovers/in-containers.ts'
import { strayLinks } from './leftovers/links.ts'
import { straysOnLinks } from './leftovers/on-bridges.ts'
import { strayRecords } from './leftovers/records.ts'
import { straySettings } from './leftovers/settings.ts'

export interface SweepParts {
  readonly instance: string
  readonly ledger: Ledger
  readonly firewall: Firewall
  readonly guards: Pick<Guards, 'leftovers'>
  readonly log: Logger
  isLeaving(hostLink: string): boolean
  detach(row: AttachmentRow): Promise<void>
}

/**
 * Sweeps look at everything, whichever network asked: those who ask before one has begun share it (a start asks for each of
 * thousands of networks at once). What it removed is told to the first of them.
 */
export class Sweeps {
  readonly #parts: SweepParts
  #waiting: Promise<string[]> | undefined
  #last: Promise<unknown> = Promise.resolve()
  #looking: Promise<string[]> | undefined

  constructor(parts: SweepParts) {
    this.#parts = parts
  }

  async run(): Promise<string[]> {
    if (this.#waiting) {
      await this.#waiting
      return []
    }
    const before = this.#last
    const sweeping = before.then(() => {
      this.#waiting = undefined
      return sweep(this.#parts)
    })
    this.#waiting = sweeping
    this.#last = sweeping.catch(() => {})
    return await sweeping
  }

  /** What {@link run} would remove; told to all who ask while it looks. */
  look(): Promise<string[]> {
    const looking =
      this.#looking ??
      look(this.#parts).finally(() => {
        this.#looking = undefined
      })
    this.#looking = looking
    return looking
  }
}

/**
 * One kind after the other: what goes with something else of an earlier kind is not found twice. The ledger is written before
 * the kernel: what it lacks has no owner.
 */
function finders({ instance, ledger, firewall, guards, isLeaving, detach }: SweepParts) {
  return [
    () => strayRecords({ ledger, isLeaving, detach }),
    () => strayLinks(instance, ledger),
    () => straysOnLinks(ledger),
    () => straySettings(ledger),
    () => firewall.leftovers(),
    () => guards.leftovers(),
    () => strayFlows(ledger),
    () => straysInContainers(ledger),
  ]
}

async function look(parts: SweepParts): Promise<string[]> {
  const found: string[] = []
  for (const find of finders(parts)) found.push(...(await find()).map(({ what }) => what))
  return found
}

async function sweep(parts: SweepParts): Promise<string[]> {
  const removed: string[] = []
  for (const find of finders(parts)) removed.push(...(await removeLeftovers(await find(), parts.log)))
  return removed
}

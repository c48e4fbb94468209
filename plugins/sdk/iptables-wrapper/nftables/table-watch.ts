/**
 * Notices what others take away from our table, and has it made again. The kernel tells every listener of every change,
 * our own too: a loss of parts is compared with how many there were after the last load, a loss of elements with the
 * state, unless we deleted some ourselves just then.
 */
import { messageOf } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import type { FirewallState } from '../firewall.ts'
import { setNames, stateElements } from './elements.ts'
import { type Loss, subscribeToLosses } from './losses.ts'
import { listElements, listParts, type TableParts } from './nfnetlink.ts'

/** Whoever flushes does more within a moment: look when it is quiet. */
const quietMs = 20
/** For so long after a deletion of ours, messages about deleted elements are its echo. */
const echoMs = 250

export interface TableWatchParts {
  readonly table: string
  readonly state: () => FirewallState
  readonly repair: () => Promise<void>
  readonly log: Logger
}

export class TableWatch implements Disposable {
  readonly #parts: TableWatchParts
  readonly #subscription: Disposable
  #expected: TableParts | undefined
  #deletedAtMs = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined
  #losses = new Set<Loss>()

  constructor(parts: TableWatchParts) {
    this.#parts = parts
    this.#subscription = subscribeToLosses(parts.table, loss => this.#note(loss))
  }

  /** What the last load made; undefined: there was none, or its table has gone by our own will. */
  get expected(): TableParts | undefined {
    return this.#expected
  }

  /** The table has just been loaded. */
  async expectAsItIs(): Promise<void> {
    this.#expected = await listParts(this.#parts.table)
  }

  /** The table goes by our own will, or is not there yet. */
  expectNothing(): void {
    this.#expected = undefined
  }

  /** Elements are being deleted by ourselves. */
  expectDeletion(): void {
    this.#deletedAtMs = performance.now()
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
    this.#expected = undefined
    this.#subscription[Symbol.dispose]()
  }

  #note(loss: Loss): void {
    if (this.#expected === undefined) return
    if (loss === 'elements' && performance.now() - this.#deletedAtMs < echoMs) return
    this.#losses.add(loss)
    if (this.#timer !== undefined) return
    this.#timer = setTimeout(() => void this.#look(), quietMs).unref()
  }

  async #look(): Promise<void> {
    this.#timer = undefined
    const losses = [...this.#losses]
    this.#losses.clear()
    const { table, repair, log } = this.#parts
    try {
      if ((await this.#isWhole(losses)) || this.#expected === undefined) return
      const startedMs = performance.now()
      await repair()
      log.warn(
        { table, tookMs: Math.round(performance.now() - startedMs) },
        'the firewall table was changed by others (nft flush?): made again',
      )
    } catch (error) {
      log.error({ table, reason: messageOf(error) }, 'the firewall table was changed by others and is not whole')
    }
  }

  async #isWhole(losses: readonly Loss[]): Promise<boolean> {
    const { table, state } = this.#parts
    const expected = this.#expected
    if (expected === undefined) return true
    const found = await listParts(table)
    if ((['chains', 'rules', 'sets'] as const).some(kind => found[kind].length !== expected[kind].length)) return false
    return !losses.includes('elements') || (await hasElements(table, state()))
  }
}

async function hasElements(table: string, state: FirewallState): Promise<boolean> {
  const wanted = stateElements(state)
  for (const set of setNames) if ((await listElements(table, set)).length < (wanted.get(set)?.length ?? 0)) return false
  return true
}

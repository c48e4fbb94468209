/**
 * Notices that others changed iptables' rules. Where its commands speak nf_tables, the kernel tells of what is deleted. Of
 * the legacy tables it tells nobody anything; but how large they are is asked in some microseconds, and nearly every
 * change alters that. A look at the rules themselves, which starts two programs, follows only then; and now and
 * then all the same, for what neither of both shows (a rule replaced by one of its size).
 */
import { iptablesTable, isSysError } from '#api/sys/sys.ts'
import { families } from '../../network-addresses.ts'
import { subscribeToRuleLosses } from '../nftables/losses.ts'
import { isLegacy } from './run-iptables.ts'

const tables = ['raw', 'nat', 'filter'] as const
/** Whoever flushes does more within a moment: look when it is quiet. */
const quietMs = 20
/** Two looks are so far apart: hosts exist where rules come and go all the time. */
const restMs = 250
/** How often legacy tables are asked for their size. */
const sizeMs = 500
const anywayMs = 20_000
/** A look at legacy tables, of which nobody tells: two programs, some milliseconds of CPU. */
const legacyAnywayMs = 5_000

export interface RuleWatchParts {
  /** Whether anything of ours is in force. */
  readonly hasRules: () => boolean
  /** Compares the rules with what they shall be, and puts that in force; must not reject. Our own changes cause one too. */
  readonly look: () => Promise<void>
}

export class RuleWatch implements Disposable {
  readonly #parts: RuleWatchParts
  readonly #ends = new DisposableStack()
  #sizes = ''
  #lookedAtMs = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined

  constructor(parts: RuleWatchParts) {
    this.#parts = parts
    this.#ends.use(subscribeToRuleLosses(table => isOfIptables(table) && this.#lookSoon()))
    this.#every(anywayMs, () => this.#lookSoon())
    isLegacy().then(
      isIt => {
        if (!isIt) return
        this.#every(sizeMs, () => this.#compareSizes())
        this.#every(legacyAnywayMs, () => this.#lookSoon())
      },
      // Without the command there is nothing to watch yet, and the first change says so.
      () => {},
    )
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
    this.#ends.dispose()
  }

  #compareSizes(): void {
    if (!this.#parts.hasRules()) return
    const now = sizes()
    if (now !== this.#sizes) this.#lookSoon()
    this.#sizes = now
  }

  #lookSoon(): void {
    if (this.#timer !== undefined || !this.#parts.hasRules()) return
    const restedMs = performance.now() - this.#lookedAtMs
    const look = async () => {
      await this.#parts.look()
      this.#lookedAtMs = performance.now()
      this.#timer = undefined
    }
    this.#timer = setTimeout(() => void look(), Math.max(quietMs, restMs - restedMs)).unref()
  }

  #every(ms: number, work: () => void): void {
    if (this.#ends.disposed) return
    const timer = setInterval(work, ms).unref()
    this.#ends.defer(() => clearInterval(timer))
  }
}

/** An empty name: messages were lost. */
function isOfIptables(table: string): boolean {
  return table === '' || tables.some(own => own === table)
}

/** Of all tables that our chains are in. */
function sizes(): string {
  return families.flatMap(family => tables.map(table => sizeOf(family, table))).join(' ')
}

function sizeOf(family: 4 | 6, table: string): string {
  try {
    const { entries, sizeBytes } = iptablesTable(family, table)
    return `${entries}/${sizeBytes}`
  } catch (error) {
    if (isSysError(error, 'ENOENT') || isSysError(error, 'ENOPROTOOPT')) return 'none'
    throw error
  }
}

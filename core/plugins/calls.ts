/**
 * Calls to one plugin. Each goes through its breaker and its gate, has the deadline of its class, is repeated once when
 * the process died during it, and is entered into the journal.
 */
import { readFileSync } from 'node:fs'
import { deadlineExceeded, GantryError, isGantryError } from '#api/errors/errors.ts'
import type { Channel } from '#api/rpc/client.ts'
import { step } from '#api/trace/spans.ts'
import type { Breaker } from './breaker.ts'
import { type CallClass, classOf, defaultDeadlines } from './call-classes.ts'
import type { CallGate } from './call-gate.ts'
import type { CallJournal, CallRecord } from './call-journal.ts'
import type { PluginKind } from './kinds.ts'

/** A call: what to do with a channel that has the right deadline. */
export type Perform<T> = (channel: Channel) => Promise<T>

export interface CallsOptions {
  readonly kind: PluginKind
  readonly id: string
  readonly gate: CallGate
  readonly breaker: Breaker
  readonly journal: CallJournal
  /** Milliseconds, over the defaults. */
  deadlines(): Readonly<Partial<Record<CallClass, number>>>
  channel(): Promise<Channel>
  suspect(): Promise<boolean>
  pid(): number
}

export class PluginCalls {
  readonly #options: CallsOptions

  constructor(options: CallsOptions) {
    this.#options = options
  }

  /**
   * `again` is what to do the second time, when a plain repetition would stumble over what the first may have done;
   * default: the same. DEADLINE_EXCEEDED names the plugin, what it was doing, its pid and what state that is in.
   */
  async run<T>(method: string, perform: Perform<T>, again: Perform<T> = perform): Promise<T> {
    const { journal, kind, id, pid } = this.#options
    const startedAtMs = Date.now()
    const started = performance.now()
    let outcome: CallRecord['outcome'] = 'OK'
    try {
      return await this.#admitted(method, perform, again)
    } catch (error) {
      outcome = isGantryError(error) ? error.code : 'UNKNOWN'
      throw error
    } finally {
      journal.add({ kind, id, method, pid: pid(), startedAtMs, durationMs: performance.now() - started, outcome })
    }
  }

  async #admitted<T>(method: string, perform: Perform<T>, again: Perform<T>): Promise<T> {
    const { breaker, gate } = this.#options
    breaker.check()
    await step('enter the gate', () => gate.enter())
    try {
      return await this.#twice(method, perform, again)
    } finally {
      gate.leave()
    }
  }

  async #twice<T>(method: string, perform: Perform<T>, again: Perform<T>): Promise<T> {
    const channel = await step('reach the plugin', () => this.#options.channel())
    try {
      return await this.#once(method, channel, perform)
    } catch (error) {
      if (!isGantryError(error, 'UNAVAILABLE') || !(await this.#options.suspect())) throw error
      return await this.#once(method, await this.#options.channel(), again)
    }
  }

  async #once<T>(method: string, channel: Channel, perform: Perform<T>): Promise<T> {
    const { kind, deadlines, breaker } = this.#options
    const callClass = classOf(kind, method)
    const deadlineMs = deadlines()[callClass] ?? defaultDeadlines[callClass]
    const started = performance.now()
    try {
      const answer = await perform(withDeadline(channel, deadlineMs))
      breaker.answered()
      return answer
    } catch (error) {
      // One millisecond: the timer's own rounding.
      if (isGantryError(error, 'DEADLINE_EXCEEDED') && performance.now() - started >= deadlineMs - 1)
        throw this.#unanswered(method, deadlineMs, error)
      if (error instanceof GantryError && error.code !== 'UNAVAILABLE') breaker.answered()
      throw error
    }
  }

  #unanswered(method: string, deadlineMs: number, cause: unknown): GantryError {
    const { kind, id, pid, breaker } = this.#options
    const process = pid()
    const where = process === 0 ? '' : ` (pid ${process}, state ${processState(process)})`
    const what = `did not answer ${method} in ${deadlineMs / 1000}s${where}`
    breaker.unanswered(what)
    return deadlineExceeded(`${kind} "${id}" ${what}`, { cause })
  }
}

/** The same connection, with another limit for each call. */
function withDeadline(channel: Channel, deadlineMs: number): Channel {
  return { ...channel, defaults: { ...channel.defaults, deadlineMs } }
}

/** The letter of proc_pid_stat(5): R running, S sleeping, D waiting for a disk, T stopped, Z ended; ? when it is gone. */
function processState(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2)[0] ?? '?'
  } catch {
    return '?'
  }
}

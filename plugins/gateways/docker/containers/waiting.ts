/** `wait`: until a container does not run, has ended once more, or is removed. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { CoreEvent, CoreEvents } from '../core-client/core-events.ts'
import { badRequest } from '../http/http-error.ts'
import { isActive } from './state.ts'
import type { ContainerStore, Found } from './store.ts'

export type WaitCondition = 'not-running' | 'next-exit' | 'removed'

/** 400 in Docker's words. */
export function parseCondition(text: string): WaitCondition {
  if (text === '' || text === 'not-running') return 'not-running'
  if (text === 'next-exit' || text === 'removed') return text
  throw badRequest(`invalid condition: "${text}"`)
}

/** An event may be missed while the core is restarted: then the record tells, looked at so often. */
const recheckMs = 5000

export class Waiting {
  readonly #store: ContainerStore
  readonly #events: CoreEvents

  constructor(store: ContainerStore, events: CoreEvents) {
    this.#store = store
    this.#events = events
  }

  /** Listens before it looks: what happens after `look` answered is not missed, and need not be looked for. */
  async begin(look: () => Promise<Found>): Promise<Wait> {
    const early: CoreEvent[] = []
    let take = (event: CoreEvent): void => void early.push(event)
    let missed = (): void => {}
    const stop = this.#events.listen(
      event => take(event),
      () => missed(),
    )
    try {
      const found = await look()
      const wait = new Wait(found, this.#store, stop)
      take = event => wait.take(event)
      missed = () => wait.look()
      for (const event of early) wait.take(event)
      return wait
    } catch (error) {
      stop()
      throw error
    }
  }
}

/** Of one client for one container. */
export class Wait {
  /** As it was at the beginning. */
  readonly found: Found
  readonly #store: ContainerStore
  readonly #stop: () => void
  #exitCode: number
  #ended = false
  #removed = false
  #woken = Promise.withResolvers<'told' | 'look'>()

  constructor(found: Found, store: ContainerStore, stop: () => void) {
    this.found = found
    this.#store = store
    this.#stop = stop
    this.#exitCode = found.state.exitCode
  }

  take(event: CoreEvent): void {
    if (event.containerId !== this.found.id) return
    if (event.kind === 'exit' && event.execId === '') {
      this.#exitCode = event.exitStatus
      this.#ended = true
    } else if (event.kind === 'container-delete') this.#removed = true
    else return
    this.#woken.resolve('told')
  }

  /** Something may have happened that nobody told. */
  look(): void {
    this.#woken.resolve('look')
  }

  /** The exit code. Rejects when `signal` fires. Once. */
  async until(condition: WaitCondition, signal: AbortSignal): Promise<number> {
    try {
      for (let now: Found | undefined = this.found; now !== undefined; now = await this.#store.peek(this.found.id)) {
        if (isEnded(this.found, now)) this.#exitCode = now.state.exitCode
        if (condition === 'not-running' && !isActive(now.state))
          return this.#ended ? this.#exitCode : now.state.exitCode
        if (condition === 'next-exit' && isEnded(this.found, now)) return this.#exitCode
        if (await this.#isOver(condition, signal)) break
      }
      return this.#exitCode
    } finally {
      this.#stop()
    }
  }

  /** True: the condition is met by what was told. False: what is recorded is to be looked at. */
  async #isOver(condition: WaitCondition, signal: AbortSignal): Promise<boolean> {
    for (;;) {
      const late = sleep(recheckMs, 'look', { signal, ref: false })
      const why = await Promise.race([this.#woken.promise, late])
      signal.throwIfAborted()
      if (this.#removed || (this.#ended && condition === 'next-exit')) return true
      this.#woken = Promise.withResolvers()
      // An exit is no removal.
      if (condition !== 'removed' || why === 'look') return false
    }
  }
}

/** It has ended since it was looked at first. */
function isEnded(before: Found, { state }: Found): boolean {
  if (state.name !== 'exited' || !state.finishedAt) return false
  const earlier = before.state.finishedAt
  return earlier?.seconds !== state.finishedAt.seconds || earlier?.nanos !== state.finishedAt.nanos
}

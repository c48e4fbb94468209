/** `wait`: until a container does not run, has ended once more, or is removed. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { CoreEvents } from '../core-client/core-events.ts'
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

  /** The exit code. Listens from the moment of the call on. Rejects when `signal` fires. */
  async until(found: Found, condition: WaitCondition, signal: AbortSignal): Promise<number> {
    const { id } = found
    let exitCode = found.state.exitCode
    let ended = false
    let removed = false
    let wake = Promise.withResolvers<void>()
    const stop = this.#events.listen(
      event => {
        if (event.containerId !== id) return
        if (event.kind === 'exit' && event.execId === '') {
          exitCode = event.exitStatus
          ended = true
        } else if (event.kind === 'container-delete') removed = true
        else return
        wake.resolve()
      },
      () => wake.resolve(),
    )
    try {
      for (;;) {
        const now = await this.#store.peek(id)
        if (!now) return exitCode
        if (isEnded(found, now)) ({ exitCode } = now.state)
        if (condition === 'not-running' && !isActive(now.state)) return ended ? exitCode : now.state.exitCode
        if (condition === 'next-exit' && (ended || isEnded(found, now))) return exitCode
        await Promise.race([wake.promise, sleep(recheckMs, undefined, { signal, ref: false })])
        signal.throwIfAborted()
        if (removed || (ended && condition === 'next-exit')) return exitCode
        wake = Promise.withResolvers<void>()
      }
    } finally {
      stop()
    }
  }
}

/** It has ended since it was looked at first. */
function isEnded(before: Found, { state }: Found): boolean {
  if (state.name !== 'exited' || !state.finishedAt) return false
  const earlier = before.state.finishedAt
  return earlier?.seconds !== state.finishedAt.seconds || earlier?.nanos !== state.finishedAt.nanos
}

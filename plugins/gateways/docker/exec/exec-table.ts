/**
 * Execs: what was asked for, and what became of it. What runs is the shim's; here is only what Docker's clients ask about
 * afterwards, kept for a while. An exec that a gateway before this one began is found again by its task.
 */
import { notFound } from '../http/http-error.ts'
import type { ExecWish } from './body.ts'

export interface Exec {
  id: string
  containerId: string
  wish: ExecWish
  pid: number
  running: boolean
  /** Undefined until it has ended. */
  exitCode: number | undefined
  /** Settles when it has been started, or could not be. */
  started: PromiseWithResolvers<void>
  wasStarted: boolean
}

/** Docker forgets those that have ended after some minutes. */
const keptMs = 5 * 60_000

export class ExecTable {
  readonly #execs = new Map<string, Exec>()

  add(id: string, containerId: string, wish: ExecWish): Exec {
    const started = Promise.withResolvers<void>()
    started.promise.catch(() => {})
    const exec: Exec = {
      id,
      containerId,
      wish,
      pid: 0,
      running: false,
      exitCode: undefined,
      started,
      wasStarted: false,
    }
    this.#execs.set(id, exec)
    return exec
  }

  /** Docker's 404. */
  get(id: string): Exec {
    const exec = this.#execs.get(id)
    if (!exec) throw notFound(`No such exec instance: ${id}`)
    return exec
  }

  ended(id: string, exitCode: number): void {
    const exec = this.#execs.get(id)
    if (!exec || exec.exitCode !== undefined) return
    exec.running = false
    exec.exitCode = exitCode
    setTimeout(() => this.#execs.delete(id), keptMs).unref()
  }

  /** Of a container that is gone. */
  forgetOf(containerId: string): void {
    for (const [id, exec] of this.#execs) if (exec.containerId === containerId) this.#execs.delete(id)
  }

  idsOf(containerId: string): string[] {
    return [...this.#execs.values()].filter(exec => exec.containerId === containerId).map(({ id }) => id)
  }
}

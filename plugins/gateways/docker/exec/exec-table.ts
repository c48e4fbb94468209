/**
 * Execs: what was asked for, and what became of it. What runs is the shim's; here is only what Docker's clients ask about
 * afterwards, kept for a while, and in a journal for the gateway after this one.
 */
import { notFound } from '../http/http-error.ts'
import type { ExecWish } from './body.ts'
import type { ExecJournal } from './exec-journal.ts'

export interface Exec {
  id: string
  containerId: string
  wish: ExecWish
  /** Where its shim serves its streams. */
  attachSocket: string
  pid: number
  running: boolean
  /** Undefined until it has ended. */
  exitCode: number | undefined
  /** Settles when it has been started, or could not be. */
  started: PromiseWithResolvers<void>
  wasStarted: boolean
}

type NewExec = Pick<Exec, 'id' | 'containerId' | 'wish' | 'attachSocket'>

/** Docker forgets those that have ended after some minutes. */
const keptMs = 5 * 60_000

export class ExecTable {
  readonly #execs = new Map<string, Exec>()
  readonly #journal: ExecJournal

  constructor(journal: ExecJournal) {
    this.#journal = journal
    for (const { id, containerId, wish, attachSocket = '', ...known } of journal.entries())
      if (containerId !== undefined && wish !== undefined)
        Object.assign(this.#make({ id, containerId, wish, attachSocket }), known)
    for (const exec of this.#execs.values()) if (exec.exitCode !== undefined) this.#forgetLater(exec.id)
  }

  add(made: NewExec): Exec {
    this.#journal.write(made)
    return this.#make(made)
  }

  /** Those that were started and whose end nobody has told. */
  unfinished(): Exec[] {
    return [...this.#execs.values()].filter(({ wasStarted, exitCode }) => wasStarted && exitCode === undefined)
  }

  #make(made: NewExec): Exec {
    const started = Promise.withResolvers<void>()
    started.promise.catch(() => {})
    const exec: Exec = {
      ...made,
      pid: 0,
      running: false,
      exitCode: undefined,
      started,
      wasStarted: false,
    }
    this.#execs.set(made.id, exec)
    return exec
  }

  /** Docker's 404. */
  get(id: string): Exec {
    const exec = this.#execs.get(id)
    if (!exec) throw notFound(`No such exec instance: ${id}`)
    return exec
  }

  /** Its start is asked for: no second one is taken. */
  starting(exec: Exec): void {
    exec.wasStarted = true
    this.#journal.write({ id: exec.id, wasStarted: true })
  }

  running(exec: Exec, pid: number): void {
    exec.pid = pid
    exec.running = exec.exitCode === undefined
    this.#journal.write({ id: exec.id, pid })
  }

  ended(id: string, exitCode: number): void {
    const exec = this.#execs.get(id)
    if (!exec || exec.exitCode !== undefined) return
    exec.running = false
    exec.exitCode = exitCode
    this.#journal.write({ id, exitCode })
    this.#forgetLater(id)
  }

  #forgetLater(id: string): void {
    setTimeout(() => this.#forget(id), keptMs).unref()
  }

  #forget(id: string): void {
    if (this.#execs.delete(id)) this.#journal.write({ id, gone: true })
  }

  /** Of a container that is gone. */
  forgetOf(containerId: string): void {
    for (const [id, exec] of this.#execs) if (exec.containerId === containerId) this.#forget(id)
  }

  idsOf(containerId: string): string[] {
    return [...this.#execs.values()].filter(exec => exec.containerId === containerId).map(({ id }) => id)
  }
}

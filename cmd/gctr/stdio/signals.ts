/** Signals sent to an attached command go to the container instead. */
import { TasksDefinition } from '#api/gen/containerd/services/tasks/v1/tasks.ts'
import { Exit } from '../exit.ts'
import type { Session } from '../session.ts'
import { signalNumber } from '../signal-names.ts'

const caught = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const

/** Who gets the signals. */
export interface SignalTarget {
  containerId: string
  execId?: string
}

/**
 * Holds the signals of this process until disposed. One that comes before there is a process to take it ends the command
 * at the next {@link check}, so that what was made by then is undone; a second one ends it there and then.
 */
export class Signals implements Disposable {
  readonly #stack = new DisposableStack()
  #early: NodeJS.Signals | undefined
  #send: ((name: NodeJS.Signals) => void) | undefined

  constructor() {
    for (const name of caught) {
      const take = () => this.#take(name)
      process.on(name, take)
      this.#stack.defer(() => void process.off(name, take))
    }
  }

  #take(name: NodeJS.Signals): void {
    if (this.#send !== undefined) this.#send(name)
    else if (this.#early !== undefined) process.exit(exitCode(name))
    else this.#early = name
  }

  /** Throws the Exit with which a shell would report the signal that came early. */
  check(): void {
    if (this.#early !== undefined) throw new Exit(exitCode(this.#early))
  }

  /** From now on they go to the process. A signal too late for it is lost with it. */
  forwardTo(session: Session, target: SignalTarget): void {
    const tasks = session.client(TasksDefinition)
    this.#send = name => void tasks.kill({ ...target, signal: signalNumber(name) }).catch(() => {})
    if (this.#early !== undefined) this.#send(this.#early)
  }

  [Symbol.dispose](): void {
    this.#stack.dispose()
  }
}

const exitCode = (name: NodeJS.Signals) => 128 + signalNumber(name)

/** Processes that were started behind Node's back ({@link spawnPiped}), and have to be reaped by us. */
import { isSysError, reapChild } from '#api/sys/sys.ts'

export class Children implements Disposable {
  readonly #watched = new Map<number, (code: number) => void>()
  readonly #onSignal = () => this.#reapAll()
  #listens = false

  /** `ended` is told the exit code, 128 + signal when it was killed; at once, when it has ended already. */
  watch(pid: number, ended: (code: number) => void): void {
    if (!this.#listens) process.on('SIGCHLD', this.#onSignal)
    this.#listens = true
    this.#watched.set(pid, ended)
    this.#reap(pid, ended)
  }

  /** False once it has ended: the number may be another process' by now. */
  has(pid: number): boolean {
    return this.#watched.has(pid)
  }

  /** One signal may stand for several ends. */
  #reapAll(): void {
    for (const [pid, ended] of this.#watched) this.#reap(pid, ended)
  }

  #reap(pid: number, ended: (code: number) => void): void {
    const code = exitCodeOf(pid)
    if (code === undefined) return
    this.#watched.delete(pid)
    ended(code)
  }

  /** They go on, and are init's after us. */
  [Symbol.dispose](): void {
    process.off('SIGCHLD', this.#onSignal)
    this.#watched.clear()
  }
}

/** Code of one whose end nobody saw. */
const unknownCode = 255

function exitCodeOf(pid: number): number | undefined {
  try {
    return reapChild(pid)
  } catch (error) {
    if (isSysError(error, 'ECHILD')) return unknownCode
    throw error
  }
}

/** Tells when to look again at a log that is followed. */
import { watch } from 'node:fs'
import { dirname } from 'node:path'

/** A change whose notice got lost is seen after so long. */
const lookMs = 1000

export interface Followed {
  /** Resolves when nothing will be written any more. */
  ended: Promise<void>
  signal: AbortSignal
}

export class LogChanges implements Disposable {
  /** Nothing will be written any more: what is there now is all. */
  ended = false
  readonly #stop: (() => void)[] = []
  #wake = Promise.withResolvers<void>()

  constructor(path: string, { ended, signal }: Followed) {
    const wake = () => this.#wake.resolve()
    const timer = setInterval(wake, lookMs)
    this.#stop.push(() => clearInterval(timer))
    try {
      // The folder, not the file: rotation puts another file in its place.
      const watcher = watch(dirname(path), wake)
      watcher.on('error', () => {})
      this.#stop.push(() => watcher.close())
    } catch {
      // The folder is made at the first start; the timer does until then.
    }
    signal.addEventListener('abort', wake, { once: true })
    this.#stop.push(() => signal.removeEventListener('abort', wake))
    void ended.then(() => {
      this.ended = true
      wake()
    })
  }

  async next(): Promise<void> {
    await this.#wake.promise
    this.#wake = Promise.withResolvers<void>()
  }

  [Symbol.dispose](): void {
    for (const stop of this.#stop) stop()
  }
}

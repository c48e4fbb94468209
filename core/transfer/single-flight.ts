/** Work that several callers want at the same time is done once. */
import { canceled } from '#api/errors/errors.ts'

interface Flight<T> {
  readonly result: Promise<T>
  readonly stop: AbortController
  waiting: number
}

/**
 * One piece of work per key at a time. The work's own signal fires when nobody waits for it any more: a caller that
 * gives up does not take the others' result with it.
 */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Flight<T>>()

  async run(key: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    const flight = this.#flights.get(key) ?? this.#start(key, work)
    flight.waiting++
    const { promise: gaveUp, reject } = Promise.withResolvers<never>()
    const giveUp = () => reject(signal.reason)
    signal.addEventListener('abort', giveUp, { once: true })
    try {
      return await Promise.race([flight.result, gaveUp])
    } finally {
      signal.removeEventListener('abort', giveUp)
      if (--flight.waiting === 0) await this.#land(key, flight)
    }
  }

  #start(key: string, work: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const stop = new AbortController()
    const result = work(stop.signal)
    const flight = { result, stop, waiting: 0 }
    this.#flights.set(key, flight)
    const forget = () => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key)
    }
    result.then(forget, forget)
    return flight
  }

  /** The last caller stays until the work has cleaned up behind itself, so that a retry finds nothing in its way. */
  async #land(key: string, flight: Flight<T>): Promise<void> {
    if (this.#flights.get(key) !== flight) return
    // From here on newcomers start anew.
    this.#flights.delete(key)
    flight.stop.abort(canceled('nobody waits for this any more', { bare: true }))
    await flight.result.catch(() => undefined)
  }
}

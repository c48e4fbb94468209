/** A stream of what is told to listeners. */

/** A follower that is so far behind loses what is older. */
const maxBehind = 10_000

/** `first`, then what is handed to the listeners in `set` from now on, in order, until the signal fires. */
export function followed<T>(
  set: Set<(item: T) => void>,
  signal: AbortSignal,
  first: readonly T[] = [],
): AsyncIterable<T> {
  const waiting: T[] = [...first]
  let wake: () => void = () => {}
  const listener = (item: T) => {
    waiting.push(item)
    if (waiting.length > maxBehind) waiting.shift()
    wake()
  }
  set.add(listener)
  return drain()

  async function* drain(): AsyncIterable<T> {
    const aborted = () => wake()
    signal.addEventListener('abort', aborted, { once: true })
    try {
      while (!signal.aborted) {
        yield* waiting.splice(0)
        if (waiting.length > 0 || signal.aborted) continue
        const { promise, resolve } = Promise.withResolvers<void>()
        wake = resolve
        await promise
      }
    } finally {
      set.delete(listener)
      signal.removeEventListener('abort', aborted)
    }
  }
}

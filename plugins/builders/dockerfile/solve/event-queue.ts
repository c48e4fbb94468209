/** Events told by running work, as an answer stream. */
export const EventQueue = {
  /** Yields what `work` tells until it ends; fails as it fails. Nobody listening any more ends nothing: the call's signal does. */
  async *of<T>(work: (tell: (event: T) => void) => Promise<void>): AsyncGenerator<T> {
    const queue: T[] = []
    let wake = Promise.withResolvers<void>()
    let isOver = false
    const done = work(event => {
      queue.push(event)
      wake.resolve()
    }).finally(() => {
      isOver = true
      wake.resolve()
    })
    done.catch(() => {})
    while (!isOver || queue.length > 0) {
      if (queue.length === 0) await wake.promise
      wake = Promise.withResolvers()
      yield* queue.splice(0)
    }
    await done
  },
}

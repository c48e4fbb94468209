/**
 * What running work tells, as a stream: `work` calls `tell`, the caller iterates. It ends when the work ends and fails as
 * it fails, after all that was told. Not to listen any more stops nothing: that is for a signal of the work's own.
 */
export async function* told<T>(work: (tell: (...events: T[]) => void) => Promise<void>): AsyncGenerator<T> {
  const queue: T[] = []
  let wake = Promise.withResolvers<void>()
  let isOver = false
  const done = work((...events) => {
    queue.push(...events)
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
}

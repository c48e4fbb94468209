/** Does a task `count` times, at most `width` at a time; answers in the order of their numbers. Rejects with the first failure. */
export async function inParallel<T>(count: number, width: number, task: (at: number) => Promise<T>): Promise<T[]> {
  const results: T[] = []
  let next = 0
  const worker = async () => {
    while (next < count) {
      const at = next++
      results[at] = await task(at)
    }
  }
  await Promise.all(Array.from({ length: Math.min(width, count) }, worker))
  return results
}

/**
 * Waits until every promise has settled, then answers their values or throws the first failure: nothing is still
 * running when the caller starts to undo.
 */
export async function sideBySide<T extends readonly unknown[]>(...work: { [K in keyof T]: Promise<T[K]> }): Promise<T> {
  const results = await Promise.allSettled(work)
  const failures = results.filter(result => result.status === 'rejected').map(result => result.reason)
  if (failures.length > 0) throw failures[0]
  return results.map(result => (result as PromiseFulfilledResult<unknown>).value) as unknown as T
}

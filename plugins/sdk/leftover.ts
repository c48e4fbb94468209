/**
 * Something in the kernel or on disk that belongs to nothing any more: what a process left that was killed in between, or
 * an earlier version, or somebody's half of a clean-up. Finders look (and change nothing), {@link removeLeftovers} acts.
 */
import { messageOf } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'

export interface Leftover {
  /** For people: the kind and the name, such as `link gt01v7`. */
  readonly what: string
  /** Gone already: success. */
  remove(): Promise<void>
}

/** Answers what each was, in order, without those that could not be removed: these are logged, and found again next time. */
export async function removeLeftovers(leftovers: readonly Leftover[], log: Logger): Promise<string[]> {
  const removed: string[] = []
  for (const { what, remove } of leftovers)
    try {
      await remove()
      removed.push(what)
    } catch (error) {
      log.warn({ leftover: what, reason: messageOf(error) }, 'a leftover stays')
    }
  return removed
}

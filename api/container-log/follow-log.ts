/** A log from a place on, as it grows. */
import { type Followed, LogChanges } from './log-changes.ts'
import { LogParts, type LogPlace, type PlacedLine } from './log-parts.ts'

/**
 * Lines behind `from` (undefined: from the first that is kept), as they come, some at a time, until the log has ended or the signal fires.
 * A reader that comes back with the last place it was told misses nothing that is still kept, and gets nothing twice.
 */
export async function* followLog(
  path: string,
  from: LogPlace | undefined,
  followed: Followed,
): AsyncGenerator<PlacedLine[]> {
  using changes = new LogChanges(path, followed)
  let place = from
  for (;;) {
    const isLast = changes.ended
    await using parts = await LogParts.open(path)
    for await (const read of parts.after(place)) {
      place = read.at(-1)?.place ?? place
      yield read
    }
    if (isLast || followed.signal.aborted) return
    await changes.next()
  }
}

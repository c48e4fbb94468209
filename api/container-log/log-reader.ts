/** A container's log over all its files, the oldest first, and on as it grows. */
import { followLog } from './follow-log.ts'
import { sinceOffset, tailOffset } from './log-file.ts'
import { type LogLine, nanosecondsOf } from './log-lines.ts'
import { LogParts, type LogPlace, linesOf, type PlacedLine } from './log-parts.ts'

export interface ReadLog {
  /** Lines from the end; undefined: all. */
  tail: number | undefined
  /** Nanoseconds since 1970; undefined: from the beginning. */
  since: bigint | undefined
  until: bigint | undefined
  /** Resolves when nothing will be written any more; undefined: do not follow. */
  ended: Promise<void> | undefined
  signal: AbortSignal
}

/** Lines as they come, some at a time. */
export async function* readLog(path: string, wish: ReadLog): AsyncGenerator<LogLine[]> {
  const reading = new Reading(wish)
  yield* readKept(path, wish, reading)
  const { ended, signal } = wish
  if (!ended || reading.isPast) return
  for await (const lines of followLog(path, reading.place, { ended, signal })) {
    yield reading.wanted(lines)
    if (reading.isPast) return
  }
}

/** What of the lines is wished for, and how far they were looked at. */
class Reading {
  /** Behind what was read. */
  place: LogPlace | undefined
  /** What follows is later than wished for. */
  isPast = false
  readonly #wish: ReadLog

  constructor(wish: ReadLog) {
    this.#wish = wish
  }

  wanted(lines: readonly PlacedLine[]): LogLine[] {
    const { since, until } = this.#wish
    this.place = lines.at(-1)?.place ?? this.place
    const whole = lines.flatMap(({ line }) => line ?? [])
    if (since === undefined && until === undefined) return whole
    const late = until === undefined ? -1 : whole.findIndex(({ time }) => nanosecondsOf(time) > until)
    this.isPast = late >= 0
    const inTime = late >= 0 ? whole.slice(0, late) : whole
    return since === undefined ? inTime : inTime.filter(({ time }) => nanosecondsOf(time) >= since)
  }
}

async function* readKept(path: string, wish: ReadLog, reading: Reading): AsyncGenerator<LogLine[]> {
  await using parts = await LogParts.open(path)
  await position(parts, wish)
  for (const part of parts.all) {
    const { inode, born, offset } = part
    reading.place = { inode, born, offset }
    for await (const lines of linesOf(part, offset)) {
      yield reading.wanted(lines)
      if (reading.isPast) return
    }
  }
}

/** Moves each part's beginning to where the wish begins. As in Docker, a tail is one of the whole log, whatever `until` says. */
async function position(parts: LogParts, { tail, since }: ReadLog): Promise<void> {
  if (since !== undefined) for (const part of parts.all) part.offset = await sinceOffset(part.file, part.size, since)
  if (tail === undefined) return
  let missing = tail
  for (const part of parts.all.toReversed()) {
    const found = missing === 0 ? { offset: part.size, missing: 0 } : await tailOffset(part.file, part.size, missing)
    part.offset = Math.max(part.offset, found.offset)
    missing = found.missing
  }
}

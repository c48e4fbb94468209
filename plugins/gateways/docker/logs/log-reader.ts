/** A container's log over all its files, the oldest first, and on as it grows. */
import { watch } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { sinceOffset, tailOffset } from './log-file.ts'
import { type LogLine, nanosecondsOf, parseLogLine } from './log-lines.ts'

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

interface Part {
  file: FileHandle
  inode: number
  size: number
  offset: number
}

const blockBytes = 256 * 1024
/** A change whose notice got lost is seen after so long. */
const lookMs = 1000

export async function* readLog(path: string, wish: ReadLog): AsyncGenerator<LogLine> {
  const parts = await openParts(path)
  let last: { inode: number; offset: number } | undefined
  try {
    await position(parts, wish)
    for (const part of parts) {
      for await (const { line, end } of linesOf(part.file, part.offset, part.size)) {
        last = { inode: part.inode, offset: end }
        if (line && isAfter(line, wish.until)) return
        if (line && isWanted(line, wish)) yield line
      }
      last ??= { inode: part.inode, offset: part.offset }
      if (last.inode !== part.inode) last = { inode: part.inode, offset: part.offset }
    }
  } finally {
    for (const { file } of parts) await file.close()
  }
  if (wish.ended) yield* follow(path, wish, last)
}

const isWanted = (line: LogLine, { since }: ReadLog) => since === undefined || nanosecondsOf(line.time) >= since
const isAfter = (line: LogLine, until: bigint | undefined) => until !== undefined && nanosecondsOf(line.time) > until

/** Rotated files are `.1`, `.2`, … with growing age. */
async function openParts(path: string): Promise<Part[]> {
  const parts: Part[] = []
  for (let number = 0; ; number++) {
    const part = await openPart(number === 0 ? path : `${path}.${number}`)
    if (!part && number > 0) break
    if (part) parts.unshift(part)
  }
  return parts
}

async function openPart(path: string): Promise<Part | undefined> {
  try {
    const file = await open(path)
    const { ino, size } = await file.stat()
    return { file, inode: ino, size, offset: 0 }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

async function position(parts: Part[], { tail, since }: ReadLog): Promise<void> {
  if (since !== undefined) for (const part of parts) part.offset = await sinceOffset(part.file, part.size, since)
  if (tail === undefined) return
  let missing = tail
  for (const part of parts.toReversed()) {
    const found = missing === 0 ? { offset: part.size, missing: 0 } : await tailOffset(part.file, part.size, missing)
    part.offset = Math.max(part.offset, found.offset)
    missing = found.missing
  }
}

async function* linesOf(
  file: FileHandle,
  from: number,
  to: number,
): AsyncGenerator<{ line: LogLine | undefined; end: number }> {
  let pending: Buffer = Buffer.alloc(0)
  let offset = from
  for (let at = from; at < to; ) {
    const block = Buffer.alloc(Math.min(blockBytes, to - at))
    const { bytesRead } = await file.read(block, 0, block.length, at)
    if (bytesRead === 0) return
    at += bytesRead
    pending =
      pending.length === 0 ? block.subarray(0, bytesRead) : Buffer.concat([pending, block.subarray(0, bytesRead)])
    for (let end = pending.indexOf(10); end >= 0; end = pending.indexOf(10)) {
      offset += end + 1
      yield { line: parseLogLine(pending.subarray(0, end)), end: offset }
      pending = pending.subarray(end + 1)
    }
  }
}

async function* follow(
  path: string,
  wish: ReadLog,
  from: { inode: number; offset: number } | undefined,
): AsyncGenerator<LogLine> {
  using changes = new Changes(path, wish)
  let place = from
  for (;;) {
    const isLast = changes.ended
    for await (const { line, inode, offset } of newLines(path, place)) {
      place = { inode, offset }
      if (!line) continue
      if (isAfter(line, wish.until)) return
      if (isWanted(line, wish)) yield line
    }
    if (isLast || wish.signal.aborted) return
    await changes.next()
  }
}

/** What was written after `place`; of a file that was rotated in between, its rest first. */
async function* newLines(path: string, place: { inode: number; offset: number } | undefined) {
  const parts = await openParts(path)
  try {
    const at = parts.findIndex(part => part.inode === place?.inode)
    for (const part of at < 0 ? parts.slice(-1) : parts.slice(at)) {
      const from = part.inode === place?.inode ? place.offset : 0
      for await (const { line, end } of linesOf(part.file, from, part.size))
        yield { line, inode: part.inode, offset: end }
    }
  } finally {
    for (const { file } of parts) await file.close()
  }
}

/** Tells when to look again. */
class Changes implements Disposable {
  ended = false
  readonly #stop: (() => void)[] = []
  #wake = Promise.withResolvers<void>()

  constructor(path: string, { ended, signal }: ReadLog) {
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
    void ended?.then(() => {
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

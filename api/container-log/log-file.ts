/** One file of a log, read from where it matters: its end for `--tail`, a point in time for `--since`. */
import type { FileHandle } from 'node:fs/promises'
import { nanosecondsOf, parseLogLine } from './log-lines.ts'

const blockBytes = 64 * 1024
const newline = 10

/**
 * Offset of the last `count` lines before `end`, found backwards; what is before them is not read. `missing`: how many
 * lines more the file would have to have.
 */
export async function tailOffset(
  file: FileHandle,
  end: number,
  count: number,
): Promise<{ offset: number; missing: number }> {
  const block = Buffer.alloc(blockBytes)
  let left = count
  let isFirst = true
  for (let to = end; to > 0; ) {
    const from = Math.max(0, to - blockBytes)
    const { bytesRead } = await file.read(block, 0, to - from, from)
    for (let at = bytesRead - 1; at >= 0; at--) {
      if (block[at] !== newline) {
        isFirst = false
        continue
      }
      // The newline that ends the last line begins none.
      if (isFirst) {
        isFirst = false
        continue
      }
      if (--left === 0) return { offset: from + at + 1, missing: 0 }
    }
    to = from
  }
  return { offset: 0, missing: end === 0 ? left : left - 1 }
}

/** Offset of the first line that is not older than `since` (nanoseconds): lines are in the order of time, so by halving. */
export async function sinceOffset(file: FileHandle, size: number, since: bigint): Promise<number> {
  let [low, high] = [0, size]
  while (high - low > blockBytes) {
    const middle = Math.floor((low + high) / 2)
    const line = await lineAfter(file, middle, size)
    if (!line || line.offset >= high) high = middle
    else if (line.time < since) low = line.offset
    else high = middle
  }
  return low
}

/** The first whole, undamaged line that begins at or after `offset`. */
async function lineAfter(
  file: FileHandle,
  offset: number,
  size: number,
): Promise<{ offset: number; time: bigint } | undefined> {
  let bytes: Buffer = Buffer.alloc(0)
  // Where the line that is being looked at begins in `bytes`; of the one that `offset` falls into nothing is wanted.
  let start = offset === 0 ? 0 : -1
  for (let at = offset; at < size; at += blockBytes) {
    const block = Buffer.alloc(Math.min(blockBytes, size - at))
    const { bytesRead } = await file.read(block, 0, block.length, at)
    const seen = bytes.length
    bytes = Buffer.concat([bytes, block.subarray(0, bytesRead)])
    for (let end = bytes.indexOf(newline, seen); end >= 0; end = bytes.indexOf(newline, end + 1)) {
      const parsed = start < 0 ? undefined : parseLogLine(bytes.subarray(start, end))
      if (parsed) return { offset: offset + start, time: nanosecondsOf(parsed.time) }
      start = end + 1
    }
  }
  return undefined
}

/** The files of one log, and the lines in them. Rotated files are `.1`, `.2`, … with growing age. */
import { type FileHandle, open } from 'node:fs/promises'
import { type LogLine, parseLogLine } from './log-lines.ts'

/** A place in a log that stays true when its files are rotated. */
export interface LogPlace {
  inode: number
  /** When the file was made, in nanoseconds: numbers of inodes are used again. */
  born: string
  /** Bytes of the file that were read. */
  offset: number
}

export interface LogPart {
  file: FileHandle
  inode: number
  born: string
  size: number
  /** Where reading begins. */
  offset: number
}

/** Cut off or damaged: without `line`. */
export interface PlacedLine {
  line: LogLine | undefined
  /** Behind it. */
  place: LogPlace
}

const blockBytes = 256 * 1024
const newline = 10

/** An open log, the oldest file first. */
export class LogParts implements AsyncDisposable {
  readonly all: readonly LogPart[]

  private constructor(all: readonly LogPart[]) {
    this.all = all
  }

  /** Empty when there is no log (yet). */
  static async open(path: string): Promise<LogParts> {
    const parts: LogPart[] = []
    for (let number = 0; ; number++) {
      const part = await openPart(number === 0 ? path : `${path}.${number}`)
      if (!part && number > 0) break
      // Rotated since it was opened, it is met again by its next name.
      if (part && parts.some(known => known.inode === part.inode && known.born === part.born)) await part.file.close()
      else if (part) parts.unshift(part)
    }
    return new LogParts(parts)
  }

  /** Lines behind `place`, a block's at a time; all when its file is gone, since that was older than what there is. */
  async *after(place: LogPlace | undefined): AsyncGenerator<PlacedLine[]> {
    const at = this.all.findIndex(part => part.inode === place?.inode && part.born === place.born)
    const rest = at < 0 ? this.all : this.all.slice(at)
    for (const part of rest) {
      const from = part === this.all[at] ? Math.min(place?.offset ?? 0, part.size) : 0
      yield* linesOf(part, from)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { file } of this.all) await file.close()
  }
}

async function openPart(path: string): Promise<LogPart | undefined> {
  try {
    const file = await open(path)
    const { ino, size, birthtimeNs } = await file.stat({ bigint: true })
    return { file, inode: Number(ino), born: String(birthtimeNs), size: Number(size), offset: 0 }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** Whole lines from `from` to the size the file had when it was opened, a block's at a time. */
export async function* linesOf({ file, size, inode, born }: LogPart, from: number): AsyncGenerator<PlacedLine[]> {
  let pending: Buffer = Buffer.alloc(0)
  let offset = from
  for (let at = from; at < size; ) {
    const block = Buffer.alloc(Math.min(blockBytes, size - at))
    const { bytesRead } = await file.read(block, 0, block.length, at)
    if (bytesRead === 0) return
    at += bytesRead
    const read = block.subarray(0, bytesRead)
    const bytes: Buffer = pending.length === 0 ? read : Buffer.concat([pending, read])
    const lines: PlacedLine[] = []
    let start = 0
    for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, start)) {
      const place = { inode, born, offset: offset + end + 1 }
      lines.push({ line: parseLogLine(bytes.subarray(start, end)), place })
      start = end + 1
    }
    offset += start
    pending = bytes.subarray(start)
    if (lines.length > 0) yield lines
  }
}

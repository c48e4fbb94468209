/** One log on its way to a sink: from the place in the note, to its end. */
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { followLog } from '#api/container-log/follow-log.ts'
import type { LogPlace, PlacedLine } from '#api/container-log/log-parts.ts'
import { messageOf } from '#api/errors/errors.ts'
import { type Source, State } from '#api/gen/gantry/services/logs/v1/logs.ts'
import type { Logger } from '#api/log/log.ts'
import type { LogLine, LogSink } from './define-log-sink.ts'

export interface FollowOptions {
  readonly sink: Pick<LogSink, 'write'>
  readonly log: Logger
  readonly signal: AbortSignal
  /** What followed this log before. */
  readonly before: Promise<void> | undefined
}

/** What is shorter and has no line feed is the end of a stream; the shim cuts at 16 KiB, between characters. */
const pieceBytes = 16 * 1024 - 3
/** Waits before lines that the sink refused are offered again. */
const firstRetryMs = 100
const maxRetryMs = 10_000

export class FollowedLog {
  /** Resolves when the sink has all of it, or the signal fired. */
  readonly finished: Promise<void>
  readonly #options: FollowOptions
  readonly #ended = Promise.withResolvers<void>()
  #source: Source
  /** Behind what the sink has. */
  #place: LogPlace | undefined
  #hasEnded = false
  #isFinished = false

  constructor(source: Source, options: FollowOptions) {
    this.#source = source
    this.#options = options
    this.finished = this.#run()
    this.#seeState()
  }

  get source(): Source {
    return this.#source
  }

  /** False when it has to be followed anew: more comes, after it had ended. */
  update(source: Source): boolean {
    if (this.#isFinished || (this.#hasEnded && source.state === State.STATE_GROWING)) return false
    this.#source = source
    this.#seeState()
    return true
  }

  /** A departed log lies elsewhere: what has been read of it is known by its inode. */
  #seeState(): void {
    if (this.#source.state === State.STATE_GROWING) return
    this.#hasEnded = true
    this.#ended.resolve()
  }

  async #run(): Promise<void> {
    const { before, signal } = this.#options
    await before?.catch(() => {})
    for (let file = ''; file !== this.#source.file && !signal.aborted; ) {
      file = this.#source.file
      const from = this.#place ?? (await readNote(this.#source.note))
      for await (const placed of followLog(file, from, { ended: this.#ended.promise, signal })) {
        await this.#write(placed)
        if (signal.aborted) return
        this.#place = placed.at(-1)?.place
        await this.#note()
      }
    }
    this.#isFinished = true
  }

  async #write(placed: readonly PlacedLine[]): Promise<void> {
    const { sink, log, signal } = this.#options
    const lines = placed.flatMap(({ line }) => (line ? toLine(this.#source, line) : []))
    for (let waitMs = firstRetryMs; lines.length > 0; waitMs = Math.min(waitMs * 2, maxRetryMs)) {
      try {
        return await sink.write(lines, this.#source)
      } catch (error) {
        const { namespace, container } = this.#source
        log.warn({ namespace, container, lines: lines.length, error: messageOf(error) }, 'lines are offered again')
      }
      await sleep(waitMs, undefined, { signal }).catch(() => {})
      if (signal.aborted || this.#isGone()) return
    }
  }

  /** The core has waited long enough for the log of a container that is gone. */
  #isGone(): boolean {
    return this.#source.state === State.STATE_DEPARTED && !existsSync(this.#source.file)
  }

  /** The folder may just be on its way elsewhere; nothing is made in its old place then. */
  async #note(): Promise<void> {
    const { note } = this.#source
    try {
      await mkdir(dirname(note), { mode: 0o700 }).catch(ignoreExisting)
      await writeFile(`${note}.new`, JSON.stringify(this.#place))
      await rename(`${note}.new`, note)
    } catch (error) {
      this.#options.log.debug({ note, error: messageOf(error) }, 'place not noted')
    }
  }
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error
}

async function readNote(note: string): Promise<LogPlace | undefined> {
  const text = await readFile(note, 'utf8').catch(() => '')
  return text === '' ? undefined : (JSON.parse(text) as LogPlace)
}

function toLine({ namespace, container }: Source, line: { text: string; stream: string; time: string }): LogLine {
  const hasEnd = line.text.endsWith('\n')
  return {
    namespace,
    container,
    stream: line.stream === 'stderr' ? 'stderr' : 'stdout',
    at: new Date(line.time),
    time: line.time,
    text: hasEnd ? line.text.slice(0, -1) : line.text,
    isPartial: !hasEnd && Buffer.byteLength(line.text) >= pieceBytes,
  }
}

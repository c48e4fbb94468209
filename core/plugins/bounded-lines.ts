/**
 * Lines of a stream, however long and however many a plugin writes: what is too much is left out, and told. Reading costs us
 * time that others need, so of a flood only so many bytes a second are read: its writer waits.
 */
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'

export interface LineLimits {
  /** What is longer is cut. */
  readonly maxChars: number
  /** Lines of one second; the further ones are left out. */
  readonly maxPerSecond: number
  /** Read in one second; the stream's writer waits for the next one. */
  readonly maxBytesPerSecond: number
}

export const defaultLineLimits: LineLimits = {
  maxChars: 32 * 1024,
  maxPerSecond: 500,
  maxBytesPerSecond: 4 * 1024 * 1024,
}

export interface LineSink {
  /** `cutChars`: so many were left out at its end. */
  line(text: string, cutChars: number): void
  /** So many lines were left out before the next one, or before the end. */
  leftOut(lines: number): void
}

/** Reads to the end, and resolves there. Empty lines are no lines. */
export async function readBoundedLines(stream: Readable, sink: LineSink, limits = defaultLineLimits): Promise<void> {
  const budget = new Budget(sink, limits.maxPerSecond)
  const decoder = new StringDecoder('utf8')
  let partial = ''
  let cutChars = 0
  const append = (text: string) => {
    const room = limits.maxChars - partial.length
    partial += text.slice(0, room)
    cutChars += Math.max(0, text.length - room)
  }
  const finish = () => {
    const text = partial.replace(/\r$/, '')
    if (text.trim() !== '' && budget.take()) sink.line(text, cutChars)
    partial = ''
    cutChars = 0
  }
  const pace = new Pace(stream, limits.maxBytesPerSecond)
  stream.on('data', (chunk: Buffer) => {
    pace.read(chunk.length)
    const [first = '', ...more] = decoder.write(chunk).split('\n')
    append(first)
    for (const text of more) {
      finish()
      append(text)
    }
  })
  // A pipe broken by the process' death is told by its exit.
  stream.on('error', () => {})
  await Promise.race([once(stream, 'close'), once(stream, 'end')]).catch(() => {})
  pace[Symbol.dispose]()
  finish()
  budget.end()
}

/** Holds a stream up when more than the allowed bytes of a second came out of it. */
class Pace implements Disposable {
  readonly #stream: Readable
  readonly #perSecond: number
  #secondBegan = 0
  #bytes = 0
  #timer: NodeJS.Timeout | undefined

  constructor(stream: Readable, perSecond: number) {
    this.#stream = stream
    this.#perSecond = perSecond
  }

  read(bytes: number): void {
    const now = performance.now()
    if (now - this.#secondBegan >= 1000) {
      this.#secondBegan = now
      this.#bytes = 0
    }
    this.#bytes += bytes
    if (this.#bytes < this.#perSecond) return
    this.#stream.pause()
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#stream.resume()
    }, 1000).unref()
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
  }
}

class Budget {
  readonly #sink: LineSink
  readonly #perSecond: number
  #secondBegan = 0
  #taken = 0
  #leftOut = 0

  constructor(sink: LineSink, perSecond: number) {
    this.#sink = sink
    this.#perSecond = perSecond
  }

  take(): boolean {
    const now = performance.now()
    if (now - this.#secondBegan >= 1000) {
      this.end()
      this.#secondBegan = now
      this.#taken = 0
    }
    if (this.#taken++ < this.#perSecond) return true
    this.#leftOut++
    return false
  }

  end(): void {
    if (this.#leftOut > 0) this.#sink.leftOut(this.#leftOut)
    this.#leftOut = 0
  }
}

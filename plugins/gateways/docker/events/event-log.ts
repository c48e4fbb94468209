/**
 * What happened, for `docker events`: written down before anybody is told, so that `--since` reaches back behind a
 * restart or a crash of the gateway. Kept are the newest lines, between one and two files' worth.
 */
import { closeSync, mkdirSync, openSync, renameSync, statSync, writeSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import type { EngineEvent, EngineEvents } from '../engine/events.ts'

/** An event as it is kept and sent. */
export interface LoggedEvent {
  Type: string
  Action: string
  Actor: { ID: string; Attributes: Record<string, string> }
  scope: 'local'
  /** Nanoseconds since 1970; unique, and growing from line to line. */
  timeNano: bigint
}

export type Listener = (event: LoggedEvent) => void

/** Bytes of a file when the next one is begun: some ten thousand events. */
const maxFileBytes = 4 * 1024 * 1024

export class EventLog implements EngineEvents {
  readonly #folder: string
  readonly #log: Logger
  readonly #listeners = new Set<Listener>()
  /** Those of them who also want what is only told. */
  readonly #curious = new Set<Listener>()
  #onDemand: (isWanted: boolean) => void = () => {}
  #file: number
  #bytes: number
  #lastNano = 0n

  constructor(root: string, log: Logger) {
    this.#folder = join(root, 'events')
    this.#log = log
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
    this.#file = openSync(this.#path('current'), 'a', 0o600)
    // What a power failure cut off ends here, and does not swallow the next line.
    this.#bytes = statSync(this.#path('current')).size + writeSync(this.#file, '\n')
  }

  #path(name: 'current' | 'previous'): string {
    return join(this.#folder, `${name}.jsonl`)
  }

  publish(published: EngineEvent): void {
    const event = this.#stamped(published)
    this.#keep(event)
    for (const listener of this.#listeners) listener(event)
  }

  tell(events: readonly EngineEvent[]): void {
    for (const event of events.map(told => this.#stamped(told))) for (const listener of this.#curious) listener(event)
  }

  onDemand(callback: (isWanted: boolean) => void): void {
    this.#onDemand = callback
  }

  #stamped({ type, action, actor, timeNano }: EngineEvent): LoggedEvent {
    return {
      Type: type,
      Action: action,
      Actor: { ID: actor.id, Attributes: { ...actor.attributes } },
      scope: 'local',
      timeNano: this.#nextNano(timeNano ?? BigInt(Date.now()) * 1_000_000n),
    }
  }

  /** Events of one millisecond keep their order. */
  #nextNano(wanted: bigint): bigint {
    this.#lastNano = wanted > this.#lastNano ? wanted : this.#lastNano + 1n
    return this.#lastNano
  }

  /** A full disk costs the past, not the present. */
  #keep(event: LoggedEvent): void {
    try {
      if (this.#bytes > maxFileBytes) this.#rotate()
      // One write per line: a crash leaves whole lines.
      this.#bytes += writeSync(this.#file, `${JSON.stringify({ ...event, timeNano: event.timeNano.toString() })}\n`)
    } catch (error) {
      this.#log.warn({ reason: messageOf(error), action: event.Action }, 'an event could not be written down')
    }
  }

  #rotate(): void {
    closeSync(this.#file)
    renameSync(this.#path('current'), this.#path('previous'))
    this.#file = openSync(this.#path('current'), 'a', 0o600)
    this.#bytes = 0
  }

  /** Called with each event from now on, in order, until disposed of; with what is only told too if it is `curious`. */
  listen(listener: Listener, { curious = false } = {}): Disposable {
    this.#listeners.add(listener)
    if (curious && this.#curious.add(listener).size === 1) this.#onDemand(true)
    return {
      [Symbol.dispose]: () => {
        this.#listeners.delete(listener)
        if (this.#curious.delete(listener) && this.#curious.size === 0) this.#onDemand(false)
      },
    }
  }

  get listenerCount(): number {
    return this.#listeners.size
  }

  /** What is kept from a moment on, the oldest first. */
  async since(nano: bigint): Promise<LoggedEvent[]> {
    const texts = await Promise.all([this.#read('previous'), this.#read('current')])
    return texts.flatMap(text => text.split('\n').flatMap(parseLine)).filter(({ timeNano }) => timeNano >= nano)
  }

  async #read(name: 'current' | 'previous'): Promise<string> {
    try {
      return await readFile(this.#path(name), 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
      throw error
    }
  }

  close(): void {
    closeSync(this.#file)
  }
}

/** A line cut off by a power failure is as if it had not been. */
function parseLine(line: string): LoggedEvent[] {
  if (line === '') return []
  try {
    const event = JSON.parse(line)
    return [{ ...event, timeNano: BigInt(event.timeNano) }]
  } catch {
    return []
  }
}

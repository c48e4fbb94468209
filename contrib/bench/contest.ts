/** One row, played: rounds in turn, then what it cost. */
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '#api/errors/errors.ts'
import { type Figures, figuresOf } from './figures.ts'
import type { Contestant, Row } from './row.ts'
import type { Memory } from './stage/account.ts'

const defaultWarmUps = 2
const defaultLimitMs = 60_000
/** Of memory, while it is watched. */
const sampleMs = 50

export interface Score {
  readonly name: string
  /** One for each round, in the order of rounds. */
  readonly values: readonly number[]
  readonly figures: Figures
  /** Processor time of the side for one round, with what goes on behind the answer. */
  readonly cpuMs?: number
  /** Of the side's processes, at rest after the row. */
  readonly steady?: Memory
  /** Most of what was seen in the round in which it was watched, and the increase to it. */
  readonly peak?: Memory
  readonly grownMib?: number
}

export interface Outcome {
  readonly row: Pick<Row, 'name' | 'unit' | 'better' | 'budget' | 'bound'>
  readonly scores: readonly Score[]
  /** Contestants that are out, and why. */
  readonly out: ReadonlyMap<string, string>
}

/** Never rejects for what a contestant does. */
export async function play(row: Row, rounds = row.rounds): Promise<Outcome> {
  const players = row.contestants.map(contestant => new Player(contestant, row))
  const warmUps = row.warmUps ?? defaultWarmUps
  for (let round = -warmUps; round < rounds; round++) {
    if (round === 0) for (const player of players) await player.begin()
    for (const player of players) await player.play(round)
  }
  for (const player of players) await player.end(rounds)
  return {
    row,
    scores: players.flatMap(player => player.score(row.better) ?? []),
    out: new Map(players.flatMap(({ contestant, out }) => (out === undefined ? [] : [[contestant.name, out]]))),
  }
}

class Player {
  readonly contestant: Contestant
  readonly #row: Row
  readonly #values: number[] = []
  #cpuBeforeMs = 0
  #cpuMs: number | undefined
  #steady: Memory | undefined
  #peak: Memory | undefined
  #grownMib: number | undefined
  /** Why it takes no further part. */
  out: string | undefined

  constructor(contestant: Contestant, row: Row) {
    this.contestant = contestant
    this.#row = row
  }

  async begin(): Promise<void> {
    const account = this.contestant.side?.account
    await account?.rest()
    this.#cpuBeforeMs = account?.cpuMs() ?? 0
  }

  async play(round: number): Promise<void> {
    if (this.out !== undefined) return
    try {
      const figure = await within(this.#row.limitMs ?? defaultLimitMs, this.#once(round))
      if (round >= 0) this.#values.push(figure)
    } catch (error) {
      this.out = messageOf(error).split('\n')[0] ?? ''
    }
  }

  async #once(round: number): Promise<number> {
    const { prepare, work, tidy } = this.contestant
    await prepare?.(round)
    const startMs = performance.now()
    const own = await work(round)
    const tookMs = performance.now() - startMs
    await tidy?.(round)
    return own ?? tookMs
  }

  async end(rounds: number): Promise<void> {
    const account = this.contestant.side?.account
    if (this.out !== undefined || account === undefined) return
    await account.rest()
    this.#cpuMs = (account.cpuMs() - this.#cpuBeforeMs) / rounds
    if (this.#row.memory) await this.#watched(rounds)
    this.#steady = account.memory()
  }

  /** One round more, which is not timed: looking at memory takes time itself. */
  async #watched(round: number): Promise<void> {
    const account = this.contestant.side?.account
    if (account === undefined) return
    const before = account.memory()
    let peak = before
    const ended = new AbortController()
    const watching = (async () => {
      for (; !ended.signal.aborted; await sleep(sampleMs)) {
        const now = account.memory()
        peak = { pssMib: Math.max(peak.pssMib, now.pssMib), rssMib: Math.max(peak.rssMib, now.rssMib) }
      }
    })()
    await this.play(round)
    this.#values.length = round
    ended.abort()
    await watching
    this.#peak = peak
    this.#grownMib = peak.rssMib - before.rssMib
  }

  score(better: 'less' | 'more' = 'less'): Score | undefined {
    if (this.out !== undefined || this.#values.length === 0) return undefined
    return {
      name: this.contestant.name,
      values: this.#values,
      figures: figuresOf(this.#values, better),
      ...(this.#cpuMs === undefined ? {} : { cpuMs: this.#cpuMs }),
      ...(this.#steady === undefined ? {} : { steady: this.#steady }),
      ...(this.#peak === undefined ? {} : { peak: this.#peak }),
      ...(this.#grownMib === undefined ? {} : { grownMib: this.#grownMib }),
    }
  }
}

async function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it took longer than ${limitMs / 1000} s`)), limitMs)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

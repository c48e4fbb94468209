/**
 * The contract of the benchmark: what is compared, and with what.
 *
 * A **row** is one piece of work, done by **contestants** in turn (A B A B …), so that a noisy minute hurts all alike. A contestant
 * is a daemon (a `Side`) that an unmodified client asks, or a program by itself: `floor` is the same work as bare system calls, what
 * the kernel alone takes, and is no peer. A **group** is rows that share what must be set up for them; `--rows` takes its id.
 *
 * Writing a group: a file in `rows/` that exports a `Group`, and a line in `rows/groups.ts`.
 *
 * ```ts
 * export const greetings: Group = {
 *   id: 'greetings',
 *   title: 'Greetings',
 *   async open(stage) {
 *     const sides = await stage.dockers('gantry', 'dockerd')          // those that came up; why one did not is printed
 *     return [{
 *       name: '`docker version`', rounds: 20, budget: { times: 2 }, quick: true,
 *       contestants: sides.map(side => ({ name: side.name, side, work: () => side.command('version') })),
 *     }]
 *   },
 * }
 * ```
 *
 * A contestant that throws, or takes longer than the row's limit, is out of that row with its reason (`n/a: …`); the others go on.
 */
import type { Account } from './stage/account.ts'
import type { Stage } from './stage/stage.ts'

/** A daemon with everything that belongs to it. */
export interface Side {
  readonly name: string
  /** Processor time and memory of its processes, those that have ended included. */
  readonly account: Account
}

export interface Contestant {
  /** `gantry` is us (`gantry …`: us in another way, shown beside), `floor` the kernel's own cost, everyone else a peer. */
  readonly name: string
  /** Whose processor time and memory are counted; absent: nobody's. */
  readonly side?: Side
  /** Before each `work`; not counted in its time. */
  readonly prepare?: (round: number) => Promise<unknown>
  /**
   * The work, once. The time it takes is the figure, unless it answers a number: then that is, in the row's unit. Rounds
   * are numbered from 0; warm-ups have negative numbers.
   */
  readonly work: (round: number) => Promise<number | undefined>
  /** After each `work`; not counted in its time, but in the side's processor time. */
  readonly tidy?: (round: number) => Promise<unknown>
}

/** What issue 8 promises. Several may be given; all must hold. */
export interface Budget {
  /** At least so many times better than the best peer of the row. */
  readonly times?: number
  /** The figure's median is at most this, in the row's unit. */
  readonly atMost?: number
  /** Processor time of the side for one round is at most this, in milliseconds. */
  readonly cpuMs?: number
  /** The side's memory grows by at most so many MiB (RSS) at its peak; only with `memory`. */
  readonly grownMib?: number
}

export interface Row {
  /** As printed: Markdown. */
  readonly name: string
  /** Of the figure; default `ms`. */
  readonly unit?: string
  /** `more`: higher figures are better; default `less`. */
  readonly better?: 'less' | 'more'
  readonly budget?: Budget
  /** Rounds that are counted in a full run; `--rounds` overrides it. */
  readonly rounds: number
  /** Rounds before, not counted; default 2. */
  readonly warmUps?: number
  /** Belongs to the short run in CI (`--quick`). */
  readonly quick?: boolean
  /** One more round with memory watched: peak, beside what was there before. */
  readonly memory?: boolean
  /** A contestant whose work takes longer is out; default 60 s. */
  readonly limitMs?: number
  /** What bounds it, for the reader of the table. */
  readonly bound?: string
  readonly contestants: readonly Contestant[]
}

export interface Group {
  /** What `--rows` calls it. */
  readonly id: string
  readonly title: string
  /** It has rows of the short run; others are not even opened then. */
  readonly quick?: boolean
  /** Sets up what the rows share; `scope` undoes it after the last of them. */
  open(stage: Stage, scope: AsyncDisposableStack): Promise<readonly Row[]>
}

/** The same verbs on two daemons at once: each has to do what is asked, and both have to say the same. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import type { Scoreboard } from '../scoreboard.ts'
import type { Side } from './side.ts'

export interface VerbOptions {
  /** Why the two may say different things; each still has to do what is asked. */
  differs?: string
  /** Verbs of both at once get into each other's way (they change something of the host). */
  alone?: boolean
}

export type PairVerb = (name: string, body: (side: Side) => Promise<void>, options?: VerbOptions) => Promise<void>

/** Tries verbs on `ours` and, where there is one, on `theirs`. */
export function pairing(
  t: TestContext,
  board: Scoreboard,
  part: string,
  ours: Side,
  theirs: Side | undefined,
): PairVerb {
  const sides = theirs === undefined ? [ours] : [ours, theirs]
  return (name, body, { differs, alone = false } = {}) =>
    board.verb(t, part, name, async () => {
      const once = async () => {
        const outcomes = alone ? await oneByOne(sides, body) : await Promise.allSettled(sides.map(body))
        const [own = [], other = own] = sides.map(side => side.takeTranscript())
        for (const [i, outcome] of outcomes.entries())
          if (outcome.status === 'rejected') throw told(sides[i], outcome.reason)
        return { own, other }
      }
      const first = await once()
      if (differs !== undefined || isDeepStrictEqual(first.own, first.other)) return
      // Two daemons collect when they like: what differs by chance is the same when it is asked again.
      const again = await once().catch(() => first)
      if (!isDeepStrictEqual(again.own, again.other)) assert.deepEqual(first.own, first.other)
      t.diagnostic(`${name} differed once: ${JSON.stringify(first)}`)
    })
}

async function oneByOne(sides: Side[], body: (side: Side) => Promise<void>): Promise<PromiseSettledResult<void>[]> {
  const outcomes: PromiseSettledResult<void>[] = []
  for (const side of sides) outcomes.push(...(await Promise.allSettled([body(side)])))
  return outcomes
}

function told(side: Side | undefined, reason: unknown): Error {
  return new Error(`on ${side?.name}: ${reason instanceof Error ? reason.message : reason}`, { cause: reason })
}

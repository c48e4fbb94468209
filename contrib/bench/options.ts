/** What `npm run bench -- …` takes. */
import { parseArgs } from 'node:util'
import type { Group } from './row.ts'
import { groups } from './rows/groups.ts'

export interface Options {
  /** The short run: rows that are marked so, smaller inputs, fewer rounds; fails where a row loses. */
  readonly quick: boolean
  /** Smaller inputs, whichever rows: the short run's, or to see that a row works. */
  readonly small: boolean
  readonly groups: readonly Group[]
  /** Instead of each row's own. */
  readonly rounds?: number
  /** Where the report is written, and what is kept of earlier ones. */
  readonly output: string
  /** Into docs/performance.md too. */
  readonly docs: boolean
}

export const usage = `npm run bench [-- OPTIONS]
  --rows A,B     only these groups: ${groups.map(({ id }) => id).join(', ')}
  --quick        the short run: fails where a row is worse than its best peer beyond chance
  --small        every row, with the small inputs of the short run
  --rounds N     instead of each row's own number
  --output DIR   where bench.md, bench.json and bench.svg go (default: build/bench, or quick or small in it);
                 what is there of groups that are not played now stays
  --docs         what is there goes into docs/performance.md and docs/img/bench.svg
  npm run bench -- --rows networks: networks beside dockerd (contrib/bench/networks.ts)`

/** Throws with what is wrong, and the usage. */
export function parseOptions(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      rows: { type: 'string' },
      quick: { type: 'boolean', default: false },
      small: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      output: { type: 'string' },
      docs: { type: 'boolean', default: false },
    },
  })
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds)
  if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0))
    throw new Error(`--rounds ${values.rounds}: not a whole number above 0\n${usage}`)
  const wanted = values.rows?.split(',').map(group)
  const { quick } = values
  const options = {
    quick,
    small: quick || values.small,
    groups: wanted ?? groups,
    output: values.output ?? (quick ? 'build/bench/quick' : values.small ? 'build/bench/small' : 'build/bench'),
    docs: values.docs,
  }
  return rounds === undefined ? options : { ...options, rounds }
}

function group(id: string): Group {
  const found = groups.find(candidate => candidate.id === id)
  if (found === undefined) throw new Error(`--rows ${id}: there is no such group\n${usage}`)
  return found
}

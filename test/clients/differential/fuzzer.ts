/** Sends the same random requests to both engines, one after the other, and tells where they differ. */
import { Dice } from '../../random/dice.ts'
import { compare, type Difference } from './compare.ts'
import { emptyBoth } from './empty.ts'
import type { Engine } from './engine.ts'
import type { Answer } from './engine-call.ts'
import { normalise } from './normalise.ts'
import type { Pair } from './pair.ts'
import { randomRequest, type Wish } from './requests.ts'

export interface Outcome {
  /** Which request of the sequence: with the seed it can be made again. */
  number: number
  wish: Wish
  /** Empty: the answers are equal. */
  differences: Difference[]
}

export async function* fuzz(pair: Pair, seed: number, calls: number): AsyncGenerator<Outcome> {
  const dice = new Dice(seed)
  for (let number = 0; number < calls; number++) {
    const wish = randomRequest(dice)
    const answers = await pair.both(wish)
    for (const [index, engine] of pair.engines.entries()) remember(engine, wish, answers[index])
    const [theirs, ours] = answers
    const differences = compare(wish.kind, normalise(pair.theirs, theirs), normalise(pair.ours, ours))
    if (wish.settles) differences.push(...(await settleBoth(pair, wish, wish.settles)))
    yield { number, wish, differences }
    // What one has made and the other has not would be told of by every request after it.
    if (isDone(theirs) !== isDone(ours) || differences.some(({ at }) => at === 'settling')) await emptyBoth(pair)
  }
}

const isDone = ({ status }: Answer) => status < 400

function remember(engine: Engine, { makes }: Wish, answer: Answer | undefined): void {
  if (makes === undefined || answer?.status !== 201) return
  const { Id } = JSON.parse(answer.body.toString()) as { Id?: string }
  if (Id !== undefined) engine.ids.set(makes, Id)
}

async function settleBoth({ engines }: Pair, { kind }: Wish, container: string): Promise<Difference[]> {
  const [theirs, ours] = await Promise.all(engines.map(engine => engine.settle(container)))
  return theirs === '' && ours === '' ? [] : [{ kind, at: 'settling', theirs, ours }]
}

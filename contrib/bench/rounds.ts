/** Interleaved rounds: A B C A B C, so that a noisy minute hurts all alike. */

/** Does its work once; the time it took is taken here unless it answers its own, in milliseconds. */
export type Contestant = () => Promise<number | undefined>

export interface Figure {
  medianMs: number
  p95Ms: number
  minMs: number
}

const warmUpRounds = 3

export async function measure(
  contestants: Record<string, Contestant>,
  rounds: number,
): Promise<Record<string, Figure>> {
  const times = new Map<string, number[]>(Object.keys(contestants).map(name => [name, []]))
  for (let round = -warmUpRounds; round < rounds; round++)
    for (const [name, contestant] of Object.entries(contestants)) {
      const start = performance.now()
      const own = await contestant()
      if (round >= 0) times.get(name)?.push(own ?? performance.now() - start)
    }
  return Object.fromEntries([...times].map(([name, list]) => [name, figure(list)]))
}

function figure(times: number[]): Figure {
  const sorted = times.toSorted((a, b) => a - b)
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN
  return { medianMs: at(0.5), p95Ms: at(0.95), minMs: at(0) }
}

/** Waiting for what must come true. */
import { setTimeout as sleep } from 'node:timers/promises'
import { patience } from '../daemon/patience.ts'

/** Throws when it has not within 30 s (times patience). */
export async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 30_000 * patience; ; await sleep(100)) {
    if (await holds()) return
    if (Date.now() > deadline) throw new Error(`did not come true: ${holds}`)
  }
}

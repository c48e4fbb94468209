/** What a gantryd that was killed in the middle of a hand-over or a trial leaves: swept before anything starts. */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '#api/log/log.ts'
import { sweepCgroups } from './cgroup.ts'
import type { Surroundings } from './home.ts'
import { kindFolders } from './kinds.ts'
import { endPredecessor } from './predecessor.ts'

/** Any seat but the plain one: that one's next start looks after its own predecessor. */
const otherSeat = /\.(\d+|trial)\.(pid|sock)$/

export async function sweepLeftovers({ root, state, cgroup }: Surroundings, log: Logger): Promise<void> {
  for (const folder of kindFolders) {
    const runDirectory = join(state, folder)
    for (const name of await entriesOf(runDirectory)) {
      if (!otherSeat.test(name)) continue
      if (name.endsWith('.pid')) await endPredecessor(join(runDirectory, name), log)
      else await rm(join(runDirectory, name), { force: true })
    }
    for (const base of [root, state])
      for (const name of await entriesOf(join(base, folder)))
        if (name.endsWith('.trial')) await rm(join(base, folder, name), { recursive: true, force: true })
  }
  sweepCgroups(cgroup)
}

async function entriesOf(directory: string): Promise<string[]> {
  return await readdir(directory).catch(() => [])
}

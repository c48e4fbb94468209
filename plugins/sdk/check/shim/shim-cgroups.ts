/** The cgroups that the bundles name, in whatever hierarchies the host has. */
import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** Above those of all containers that are made for checks. */
export const checkCgroup = 'gantry-check'

const maxTries = 100
const retryMs = 20

/** Kills what a broken shim left in there. */
export function killAllIn(id: string): void {
  for (const folder of foldersOf(join(checkCgroup, id)))
    for (const pid of processesIn(folder))
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // Already gone.
      }
}

/** Removes it as soon as what was killed in it is gone, and then the one above, unless another check is at work there. */
export async function removeCgroup(id: string): Promise<void> {
  const own = foldersOf(join(checkCgroup, id))
  for (let tries = 0; tries < maxTries && own.filter(isLeft).length > 0; tries++) await sleep(retryMs)
  for (const folder of foldersOf(checkCgroup)) isLeft(folder)
}

/** Tries to remove it. False: it is gone, or was never there. */
function isLeft(folder: string): boolean {
  try {
    rmdirSync(folder)
    return false
  } catch {
    return existsSync(folder)
  }
}

function foldersOf(path: string): string[] {
  return ['.', ...readdirSync('/sys/fs/cgroup')].map(hierarchy => join('/sys/fs/cgroup', hierarchy, path))
}

function processesIn(folder: string): number[] {
  try {
    return readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

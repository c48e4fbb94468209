import { readdir, readFile, readlink } from 'node:fs/promises'
import type { Daemon } from '../daemon/daemon.ts'
import { patience } from '../daemon/patience.ts'

/** Files and mounts below the daemon's folders, and shims of it, that name the container. */
export async function leftovers({ folder }: Daemon, id: string): Promise<string[]> {
  const names = (path: string) => path.split('/').some(part => part.includes(id))
  // A folder that goes while it is read is on its way out, and worth another look.
  const files = await readdir(folder, { recursive: true }).catch(() => [`${id} is being removed`])
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n')
  const mounts = lines.filter(line => line.includes(folder) && names(line))
  return [...files.filter(names), ...mounts, ...(await shims(folder, id))]
}

interface Shim {
  readonly args: string
  /** Its bundle; `/` for one that waits for a container and ends with the daemon. */
  readonly folder: string
}

/** Shims of the daemon whose folder that is. */
export async function shimsBelow(folder: string): Promise<Shim[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
  const seen = await Promise.all(
    pids.map(async pid => {
      const args = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ')
      return { args, folder: await readlink(`/proc/${pid}/cwd`).catch(() => '') }
    }),
  )
  return seen.filter(({ args }) => args.includes('containerd-shim') && args.includes(folder))
}

/** One that was taken while it waited has the container's name in its bundle alone. */
async function shims(folder: string, id: string): Promise<string[]> {
  const named = (await shimsBelow(folder)).filter(shim => shim.args.includes(id) || shim.folder.includes(id))
  return named.map(({ args }) => args)
}

/** Waits for slow clean-up behind an answer. Throws what is still there after 10 s (times patience). */
export async function requireGone(
  daemon: Daemon,
  id: string,
  ignore: (path: string) => boolean = () => false,
): Promise<void> {
  for (const deadline = Date.now() + 10_000 * patience; ; ) {
    const found = (await leftovers(daemon, id)).filter(path => !ignore(path))
    if (found.length === 0) return
    if (Date.now() > deadline)
      throw new Error(`of ${id} there is still: ${found.join(', ')}\n${daemon.log.slice(-3000)}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

/**
 * A plugin's own cgroup: of version 2, of version 1, or of both side by side, as the host has them. Only the three
 * controllers that limit something here are used.
 *
 * - version 2: https://docs.kernel.org/admin-guide/cgroup-v2.html (memory.max, pids.max, cpu.max)
 * - version 1: memory.limit_in_bytes, pids.max, cpu.cfs_quota_us of https://docs.kernel.org/admin-guide/cgroup-v1/
 */
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { failedPrecondition, messageOf } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import type { Limits } from './spec.ts'

/** Of the bandwidth controller: a quota counts per so many microseconds. */
const cpuPeriodUs = 100_000
const controllers = ['memory', 'pids', 'cpu'] as const
type Controller = (typeof controllers)[number]

/** Where the host has a hierarchy with one of our controllers. */
interface Hierarchy {
  readonly mountPoint: string
  readonly version: 1 | 2
  readonly controllers: readonly Controller[]
}

/** A cgroup that exists, in one or more hierarchies. */
export interface PluginCgroup {
  /** Files to write a pid to. */
  readonly procsFiles: readonly string[]
  /** Ends whoever is left in it, and takes it away, with parents that are empty then. */
  remove(): Promise<void>
}

/**
 * Makes the cgroup `name` (a relative path) with those limits; ends whoever an earlier process left in it. FAILED_PRECONDITION: a limit is asked for that this host
 * cannot give. Without limits a host that lets us make no cgroup gives an empty one.
 */
export async function createCgroup(name: string, limits: Limits, log: Logger): Promise<PluginCgroup> {
  const folders: string[] = []
  try {
    for (const hierarchy of hierarchies()) {
      const folder = join(hierarchy.mountPoint, name)
      makeFolder(hierarchy, folder, name)
      folders.push(folder)
      await empty(folder)
      applyLimits(hierarchy, folder, limits)
    }
    refuseUnlimitable(limits)
  } catch (cause) {
    for (const folder of folders) removeEmpty(folder, name)
    if (Object.keys(limits).length > 0)
      throw failedPrecondition(`its limits (${Object.keys(limits).join(', ')}) cannot be set: ${messageOf(cause)}`, {
        cause,
      })
    log.debug({ cgroup: name, error: messageOf(cause) }, 'no cgroup of its own')
    return { procsFiles: [], remove: async () => {} }
  }
  return {
    procsFiles: folders.map(folder => join(folder, 'cgroup.procs')),
    async remove() {
      for (const folder of folders) await empty(folder)
      for (const folder of folders) removeEmpty(folder, name)
    },
  }
}

/** Names of the cgroups in `name`. */
export function cgroupsIn(name: string): string[] {
  return [...new Set(hierarchies().flatMap(({ mountPoint }) => foldersIn(join(mountPoint, name))))]
}

/** Ends whoever is in the cgroup `name`, and takes it away; missing is fine. */
export async function endCgroup(name: string): Promise<void> {
  for (const { mountPoint } of hierarchies()) {
    await empty(join(mountPoint, name))
    removeEmpty(join(mountPoint, name), name)
  }
}

function foldersIn(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true }).flatMap(entry => (entry.isDirectory() ? [entry.name] : []))
  } catch {
    // There is none.
    return []
  }
}

/** From the mount table: the file system's type, and on version 1 the controllers among its options. */
function hierarchies(): Hierarchy[] {
  const found: Hierarchy[] = []
  for (const line of readFileSync('/proc/self/mounts', 'utf8').split('\n')) {
    const [, mountPoint = '', type, options = ''] = line.split(' ')
    if (type === 'cgroup') {
      const own = controllers.filter(name => options.split(',').includes(name))
      if (own.length > 0) found.push({ mountPoint, version: 1, controllers: own })
    } else if (type === 'cgroup2') {
      const available = readFileSync(join(mountPoint, 'cgroup.controllers'), 'utf8').trim().split(' ')
      const own = controllers.filter(name => available.includes(name))
      if (own.length > 0) found.push({ mountPoint, version: 2, controllers: own })
    }
  }
  return found
}

/** On version 2 each folder on the way hands the controllers on to its children. */
function makeFolder({ version, mountPoint, controllers: own }: Hierarchy, folder: string, name: string): void {
  mkdirSync(folder, { recursive: true })
  if (version === 1) return
  const enable = own.map(controller => `+${controller}`).join(' ')
  for (const above of parentsOf(name)) writeFileSync(join(mountPoint, above, 'cgroup.subtree_control'), enable)
}

/** `a/b/c` → ``, `a`, `a/b`. */
function parentsOf(name: string): string[] {
  const parts = name.split('/')
  return parts.map((_, depth) => parts.slice(0, depth).join('/'))
}

function applyLimits({ version, controllers: own }: Hierarchy, folder: string, limits: Limits): void {
  const { memoryBytes, pids, cpus } = limits
  const write = (controller: Controller, file: string, value: string | undefined) => {
    if (value !== undefined && own.includes(controller)) writeFileSync(join(folder, file), value)
  }
  const quota = cpus === undefined ? undefined : String(Math.round(cpus * cpuPeriodUs))
  write('memory', version === 2 ? 'memory.max' : 'memory.limit_in_bytes', memoryBytes?.toString())
  write('pids', 'pids.max', pids?.toString())
  if (version === 1) write('cpu', 'cpu.cfs_period_us', quota && String(cpuPeriodUs))
  write(
    'cpu',
    version === 2 ? 'cpu.max' : 'cpu.cfs_quota_us',
    version === 2 ? quota && `${quota} ${cpuPeriodUs}` : quota,
  )
}

function refuseUnlimitable({ memoryBytes, pids, cpus }: Limits): void {
  const asked = { memory: memoryBytes, pids, cpu: cpus }
  const there = new Set(hierarchies().flatMap(hierarchy => hierarchy.controllers))
  for (const controller of controllers)
    if (asked[controller] !== undefined && !there.has(controller))
      throw failedPrecondition(`this host has no ${controller} controller`)
}

/** Children that the plugin left behind end with it. */
async function empty(folder: string): Promise<void> {
  for (let round = 0; round < 50; round++) {
    const pids = readPids(folder)
    if (pids.length === 0) return
    for (const pid of pids)
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It ended just now.
      }
    await sleep(10)
  }
}

function readPids(folder: string): number[] {
  try {
    return readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

/** The folder, and upwards what is empty then; never the hierarchy's own. */
function removeEmpty(folder: string, name: string): void {
  let path = folder
  for (const _ of name.split('/')) {
    try {
      rmdirSync(path)
    } catch {
      // Others are in it, or it is gone.
      return
    }
    path = dirname(path)
  }
}

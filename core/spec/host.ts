/** What a spec depends on beside the request and the image: facts of this host, read once per daemon. */
import { existsSync } from 'node:fs'
import { readFile, statfs } from 'node:fs/promises'
import { availableParallelism, release } from 'node:os'
import { hostPlatform } from '#api/types/platform.ts'
import { capabilitiesOfMask } from './capabilities.ts'
import { findInit } from './init.ts'
import { type HardLimits, parseHardLimits } from './rlimits.ts'

/** `hybrid`: v1 controllers, and a v2 tree beside them for grouping (systemd's word). */
export type CgroupLayout = 'v1' | 'hybrid' | 'v2'
export type CgroupDriver = 'cgroupfs' | 'systemd'

export interface HostFacts {
  /** Go's name, as "amd64". */
  architecture: string
  kernelRelease: string
  cpus: number
  /** Capabilities the daemon may hand out: its own bounding set. */
  capabilities: string[]
  cgroups: CgroupLayout
  /** What no process of a container may exceed; undefined: no ceiling (CAP_SYS_RESOURCE). */
  hardLimits?: HardLimits | undefined
  /** Whether the kernel confines by AppArmor profiles. */
  hasApparmor: boolean
  /** A static init program; undefined when there is none. */
  initPath: string | undefined
}

/** statfs(2): f_type of cgroup2. */
const CGROUP2_SUPER_MAGIC = 0x6367_7270

export async function readHostFacts(): Promise<HostFacts> {
  const [status, limits, apparmor, root] = await Promise.all([
    readFile('/proc/self/status', 'utf8'),
    readFile('/proc/self/limits', 'utf8'),
    // No such file: no such module.
    readFile('/sys/module/apparmor/parameters/enabled', 'utf8').catch(() => 'N'),
    statfs('/sys/fs/cgroup'),
  ])
  const mask = /^CapBnd:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'
  const capabilities = capabilitiesOfMask(BigInt(`0x${mask}`))
  return {
    hardLimits: capabilities.includes('CAP_SYS_RESOURCE') ? undefined : parseHardLimits(limits),
    hasApparmor: apparmor.startsWith('Y'),
    architecture: hostPlatform().architecture,
    kernelRelease: release(),
    cpus: availableParallelism(),
    capabilities,
    initPath: findInit(process.env.PATH ?? ''),
    cgroups: root.type === CGROUP2_SUPER_MAGIC ? 'v2' : existsSync('/sys/fs/cgroup/unified') ? 'hybrid' : 'v1',
  }
}

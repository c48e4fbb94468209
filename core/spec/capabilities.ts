/** capabilities(7): Docker's default set, and what a request adds to it and takes from it. */
import { invalidArgument } from '#api/errors/errors.ts'
import type { Capabilities } from './runtime-spec.ts'

/** By number: index 0 is CAP_CHOWN (include/uapi/linux/capability.h). */
const byNumber = (
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE ' +
  'NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT ' +
  'SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP ' +
  'MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'
)
  .split(' ')
  .map(name => `CAP_${name}`)

/** What Docker gives a container that asks for nothing. */
export const defaultCapabilities: readonly string[] = (
  'CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL ' +
  'AUDIT_WRITE'
)
  .split(' ')
  .map(name => `CAP_${name}`)

/** Names of the capabilities in a bit mask such as `CapBnd` of /proc/self/status. */
export function capabilitiesOfMask(mask: bigint): string[] {
  return byNumber.filter((_, number) => (mask >> BigInt(number)) & 1n)
}

export interface CapabilityWish {
  add: readonly string[]
  drop: readonly string[]
  privileged: boolean
  /** What the daemon itself may hand out: more than this no container can get. */
  available: readonly string[]
}

/**
 * The names a container gets. `ALL` works in both lists; the prefix `CAP_` and the case do not matter.
 * A privileged container has everything available. INVALID_ARGUMENT for names nobody knows.
 */
export function chooseCapabilities(wish: CapabilityWish): string[] {
  if (wish.privileged) return [...wish.available]
  const add = wish.add.map(normalize)
  const drop = wish.drop.map(normalize)
  const start = add.includes('ALL') ? wish.available : drop.includes('ALL') ? [] : defaultCapabilities
  const chosen = new Set(start)
  for (const name of drop) chosen.delete(name)
  for (const name of add) if (name !== 'ALL') chosen.add(name)
  return byNumber.filter(name => chosen.has(name))
}

function normalize(name: string): string {
  const upper = name.toUpperCase()
  if (upper === 'ALL') return upper
  const full = upper.startsWith('CAP_') ? upper : `CAP_${upper}`
  if (!byNumber.includes(full)) throw invalidArgument(`unknown capability "${name}"`)
  return full
}

/** Nothing inheritable or ambient: a set-uid program in the container gains what the bounding set allows, no more. */
export function capabilitySets(names: string[]): Capabilities {
  return { bounding: names, effective: names, permitted: names, inheritable: [], ambient: [] }
}

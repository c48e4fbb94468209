/** Paths of /proc and /sys that a container does not see, or sees read-only (Docker's defaults). */

export const defaultMaskedPaths: readonly string[] = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
]

export const defaultReadonlyPaths: readonly string[] = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
]

export interface SystemPathsWish {
  maskedPaths: readonly string[]
  readonlyPaths: readonly string[]
  /** The lists replace the defaults. */
  overrideSystemPaths: boolean
  privileged: boolean
}

/** A privileged container sees everything unless it asked for lists of its own. */
export function composeSystemPaths(wish: SystemPathsWish): { maskedPaths: string[]; readonlyPaths: string[] } {
  if (wish.overrideSystemPaths || wish.privileged)
    return { maskedPaths: [...wish.maskedPaths], readonlyPaths: [...wish.readonlyPaths] }
  return {
    maskedPaths: [...new Set([...defaultMaskedPaths, ...wish.maskedPaths])],
    readonlyPaths: [...new Set([...defaultReadonlyPaths, ...wish.readonlyPaths])],
  }
}

import { readFileSync } from 'node:fs'

const kibibyte = 1024

/** VmRSS of proc_pid_status(5); 0 for no process, or one that is gone. */
export function residentBytes(pid: number): number {
  if (pid === 0) return 0
  try {
    return Number(/^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * kibibyte
  } catch {
    return 0
  }
}

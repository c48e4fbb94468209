/** Processes of a shim that said nothing of them: found by the container's id, which no other command line has. */
import { readdirSync, readFileSync } from 'node:fs'

/** Kills every process that has `id` among its arguments. */
export function killNamed(id: string): void {
  for (const pid of readdirSync('/proc').filter(name => /^\d+$/.test(name)))
    if (argumentsOf(pid).includes(id)) kill(Number(pid))
}

function argumentsOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  } catch {
    // It ended meanwhile.
    return []
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // Already gone.
  }
}

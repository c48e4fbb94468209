/** CPU time of a daemon and of the children it keeps or has reaped. */
import { readdirSync, readFileSync } from 'node:fs'

/** Clock ticks per second in /proc (USER_HZ, always 100 on Linux' architectures of today). */
const ticksPerSecond = 100

/** User and system time of a process and of its living descendants, those they have waited for included (proc(5)). */
export function cpuMsOfTree(pid: number): number {
  const children = readdirSync(`/proc/${pid}/task`).flatMap(thread =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8')
      .split(' ')
      .filter(child => child !== ''),
  )
  return children.reduce((sum, child) => sum + cpuMsOrGone(Number(child)), cpuMsOfProcess(pid))
}

function cpuMsOrGone(pid: number): number {
  try {
    return cpuMsOfTree(pid)
  } catch {
    return 0
  }
}

/** Of one process and the children it has waited for. */
export function cpuMsOfProcess(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // After the name, which may hold spaces: utime, stime, cutime and cstime are the fields 14 to 17.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
  return (ticks * 1000) / ticksPerSecond
}

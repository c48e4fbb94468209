/** A container's control group on a cgroup v2 host, and systemd's view of it. Read from outside, as the kernel tells. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { patience } from '../daemon/patience.ts'
import { runCommand } from '../daemon/run-command.ts'

const mountPoint = '/sys/fs/cgroup'

export class ControlGroup {
  /** Below the mount point, with a leading slash (cgroup_namespaces(7): as the host sees it). */
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  /** The one a process is in. */
  static async of(pid: number): Promise<ControlGroup> {
    const [, path] = /^0::(.*)$/m.exec(await readFile(`/proc/${pid}/cgroup`, 'utf8')) ?? []
    if (path === undefined) throw new Error(`process ${pid} is in no v2 group`)
    return new ControlGroup(path)
  }

  get exists(): boolean {
    return existsSync(join(mountPoint, this.path))
  }

  /** A file of it, without the last line's end. */
  async read(file: string): Promise<string> {
    return (await readFile(join(mountPoint, this.path, file), 'utf8')).trimEnd()
  }

  /** Process ids in it. */
  async processes(): Promise<number[]> {
    return (await this.read('cgroup.procs')).split('\n').filter(Boolean).map(Number)
  }
}

/** Some properties of a unit (systemctl(1) show). A unit that is not there has LoadState "not-found". */
export async function unitProperties(unit: string, ...names: string[]): Promise<Record<string, string>> {
  const { stdout } = await runCommand(['systemctl', 'show', unit, ...names.flatMap(name => ['--property', name])])
  const pairs = stdout.trim().split('\n')
  return Object.fromEntries(pairs.map(line => [line.split('=')[0], line.slice(line.indexOf('=') + 1)]))
}

/** What is asked for comes true within 10 s (times patience), or the error says what did not. */
export async function eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 10_000 * patience; !(await holds()); await sleep(50))
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`)
}

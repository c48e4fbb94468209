/**
 * What a side costs, by cgroup: processor time of everything that was ever in it, and the processes that are. Of the cgroup v2
 * hierarchy, which counts processor time without any controller and on hybrid hosts too.
 */
import { existsSync, globSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** Where version 2 is mounted: beside version 1, or alone. */
const hierarchy = existsSync('/sys/fs/cgroup/unified/cgroup.procs') ? '/sys/fs/cgroup/unified' : '/sys/fs/cgroup'

export interface Memory {
  /** Proportional: shared pages are divided among those who have them. */
  readonly pssMib: number
  readonly rssMib: number
}

export class Account implements AsyncDisposable {
  /** Path from the root of the hierarchy, such as `/gantry-bench-77/dockerd`; containers go below it. */
  readonly path: string
  /** Folders that the side makes for itself, and where in them its daemons are. */
  readonly #others: { root: string; daemons: string }[] = []

  constructor(path: string) {
    this.path = path
    mkdirSync(this.#own, { recursive: true })
  }

  /** For processes, beside the containers': version 2 wants processes in leaves. */
  get #own(): string {
    return join(hierarchy, this.path, 'daemons')
  }

  /** Where containers go, for daemons that can be told. */
  get containers(): string {
    return `${this.path}/containers`
  }

  /**
   * Counts another cgroup too, one that the side makes for itself; `daemons`: what of it is no container. Something of ours is
   * put into it: with its removal what was counted would be lost.
   */
  include(path: string, daemons: string): void {
    const root = join(hierarchy, path)
    mkdirSync(join(root, 'counted'), { recursive: true })
    this.#others.push({ root, daemons: join(root, daemons) })
  }

  /** argv that starts a program in it. */
  enter(argv: readonly string[]): string[] {
    return ['sh', '-c', 'echo $$ > "$0" && exec "$@"', join(this.#own, 'cgroup.procs'), ...argv]
  }

  get #roots(): string[] {
    return [join(hierarchy, this.path), ...this.#others.map(({ root }) => root)]
  }

  /** User and system time so far. */
  cpuMs(): number {
    return this.#roots.reduce((sum, root) => sum + usageMs(root), 0)
  }

  /** Its processes, containers' left out. */
  pids(): number[] {
    const daemons = [this.#own, ...this.#others.map(other => other.daemons)].filter(existsSync)
    const folders = daemons.flatMap(root => [root, ...globSync(`${root}/**/`)])
    const lines = folders.flatMap(folder => readOrNothing(join(folder, 'cgroup.procs')).split('\n'))
    return [...new Set(lines.filter(line => line !== '' && line !== '0').map(Number))]
  }

  memory(pids: readonly number[] = this.pids()): Memory {
    return pids.map(memoryOf).reduce(plus, { pssMib: 0, rssMib: 0 })
  }

  /** Waits until its processes rest: slow clean-up goes on behind answers. At most 5 s. */
  async rest(): Promise<void> {
    for (const deadline = Date.now() + 5000; Date.now() < deadline; ) {
      const before = this.cpuMs()
      await sleep(100)
      if (this.cpuMs() - before < 2) return
    }
  }

  /** Its folders, in whatever hierarchy runtimes have made them too, when all processes have left. */
  async [Symbol.asyncDispose](): Promise<void> {
    const own = globSync(`/sys/fs/cgroup/{,*/}${this.path.slice(1)}{/**/,}`)
    const others = this.#others.flatMap(({ root }) => globSync(`${root}{/**/,}`))
    for (const folder of [...own, ...others].toSorted((a, b) => b.length - a.length)) await removed(folder)
    for (const parent of globSync(`/sys/fs/cgroup/{,*/}${dirname(this.path).slice(1)}`)) rmdirIfEmpty(parent)
  }
}

export function memoryOf(pid: number): Memory {
  const text = readOrNothing(`/proc/${pid}/smaps_rollup`)
  const mib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0) / 1024
  return { pssMib: mib('Pss'), rssMib: mib('Rss') }
}

const plus = (a: Memory, b: Memory): Memory => ({ pssMib: a.pssMib + b.pssMib, rssMib: a.rssMib + b.rssMib })

function usageMs(folder: string): number {
  return Number(/^usage_usec (\d+)/m.exec(readOrNothing(join(folder, 'cpu.stat')))?.[1] ?? 0) / 1000
}

/** Processes and cgroups go while they are read. */
function readOrNothing(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** A cgroup is busy until the kernel has let go of the last process. */
async function removed(folder: string): Promise<void> {
  for (let attempt = 0; attempt < 100 && existsSync(folder); attempt++) {
    if (rmdirIfEmpty(folder)) return
    await sleep(50)
  }
}

function rmdirIfEmpty(folder: string): boolean {
  try {
    if (readdirSync(folder, { withFileTypes: true }).some(entry => entry.isDirectory())) return false
    rmdirSync(folder)
    return true
  } catch {
    return false
  }
}

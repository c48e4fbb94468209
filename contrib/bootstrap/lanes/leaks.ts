/**
 * What the tests left on the host: processes of ours, mounts, network namespaces, links, nft tables, cgroups.
 * The host is read when the lane is made, before any other lane runs, and again at the end.
 */
import { execFileSync } from 'node:child_process'
import { globSync, readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Lane, Tally } from './lane.ts'

/** Slow kernel clean-up (namespaces, links) may lag behind the answer; this long, and no longer. */
const settleMs = 10_000

const probes: Record<string, () => string[]> = {
  processes: ourProcesses,
  mounts: () =>
    lines(readFileSync('/proc/self/mountinfo', 'utf8')).map(line => line.split(' ').slice(3, 5).join(' → ')),
  'network namespaces': () => lines(output('ip', 'netns', 'list')),
  links: () => lines(output('ip', '-brief', 'link')).map(line => line.split(/\s/)[0]?.split('@')[0] ?? ''),
  routes: () => lines(output('ip', 'route')),
  'nft tables': () => lines(output('nft', 'list', 'tables')),
  cgroups: () => globSync('/sys/fs/cgroup/{,*/}{*gantry*,system.slice/*gantry*,gantry*/**/}').toSorted(),
}

export function leaksLane(): Lane {
  const before = Object.fromEntries(Object.entries(probes).map(([name, probe]) => [name, new Set(probe())]))
  return async () => {
    const tally: Tally = { passed: 0, failed: [], skipped: 0 }
    for (const [name, probe] of Object.entries(probes)) {
      const left = await settled(() => probe().filter(item => !before[name]?.has(item)))
      console.log(`${left.length === 0 ? '✔' : '✖'} no ${name} left behind`)
      if (left.length === 0) tally.passed++
      else tally.failed.push(`${name} left behind: ${left.join('; ')}`)
    }
    return tally
  }
}

async function settled(left: () => string[]): Promise<string[]> {
  const deadline = Date.now() + settleMs
  let found = left()
  while (found.length > 0 && Date.now() < deadline) {
    await sleep(200)
    found = left()
  }
  return found
}

/** By executable or script path: a test names its processes by what it started. */
function ourProcesses(): string[] {
  const ours =
    /gantryd|gctr|containerd-shim-gantry|gantry-(snapshotter|network)|plugins\/(snapshotters|networks)|docker-registry/
  return readdirSync('/proc')
    .filter(entry => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .map(pid => `${pid} ${commandLine(pid)}`)
    .filter(line => ours.test(line) && !line.includes('contrib/bootstrap'))
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
  } catch {
    return ''
  }
}

function output(file: string, ...args: string[]): string {
  try {
    return execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  } catch {
    return ''
  }
}

function lines(text: string): string[] {
  return text.split('\n').filter(line => line !== '')
}

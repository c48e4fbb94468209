/** Where and when a run took place: figures mean nothing without. */
import { execFileSync } from 'node:child_process'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { dockerCommand } from './stage/docker-side.ts'

export interface Machine {
  readonly date: string
  readonly cpu: string
  readonly cores: number
  readonly memoryGib: number
  readonly kernel: string
  readonly node: string
  readonly commit: string
  /** Before the first row. */
  readonly load: number
  /** By Debian package. */
  readonly versions: Readonly<Record<string, string>>
}

const packages = ['docker.io', 'containerd', 'runc', 'crun', 'podman', 'buildah', 'docker-registry', 'wrk']

export function readMachine(): Machine {
  const [first] = cpus()
  return {
    date: new Date().toISOString(),
    cpu: first?.model ?? 'unknown',
    cores: cpus().length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    commit: output('git', 'rev-parse', '--short', 'HEAD'),
    load: loadavg()[0] ?? 0,
    versions: {
      ...Object.fromEntries(packages.map(name => [name, output('dpkg-query', '--show', name).split('\t')[1] ?? ''])),
      'docker command': output(dockerCommand, '--version').replace(/^Docker version |,.*$/g, ''),
    },
  }
}

/** Empty where the program fails. */
function output(file: string, ...args: string[]): string {
  try {
    return execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return ''
  }
}

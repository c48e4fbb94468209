/** What the host is: for `docker info` and `docker version`. Read once; a host does not change under a running engine. */
import { readFileSync } from 'node:fs'
import { arch, cpus, hostname, release, totalmem } from 'node:os'

export interface HostFacts {
  kernel: string
  /** As os-release(5) puts it for people: `Debian GNU/Linux 12 (bookworm)`. */
  system: string
  systemVersion: string
  /** Of `uname -m`. */
  machine: string
  /** Go's word for it. */
  architecture: string
  cpus: number
  memoryBytes: number
  name: string
  cgroupVersion: '1' | '2'
}

const machines: Readonly<Record<string, readonly [machine: string, architecture: string]>> = {
  x64: ['x86_64', 'amd64'],
  arm64: ['aarch64', 'arm64'],
}

export function readHostFacts(): HostFacts {
  const [machine, architecture] = machines[arch()] ?? [arch(), arch()]
  const release_ = osRelease()
  return {
    kernel: release(),
    system: release_.get('PRETTY_NAME') ?? 'Linux',
    systemVersion: release_.get('VERSION_ID') ?? '',
    machine,
    architecture,
    cpus: cpus().length,
    memoryBytes: totalmem(),
    name: hostname(),
    cgroupVersion: isUnified() ? '2' : '1',
  }
}

/** os-release(5): shell assignments. */
function osRelease(): Map<string, string> {
  const text = readIfThere('/etc/os-release') || readIfThere('/usr/lib/os-release')
  const pairs = text.split('\n').flatMap(line => {
    const [, key, value] = /^([A-Z_]+)=["']?(.*?)["']?$/.exec(line) ?? []
    return key === undefined || value === undefined ? [] : [[key, value] as const]
  })
  return new Map(pairs)
}

/** A cgroup2 file system at the root itself; with controllers of version 1 beside it, those are used. */
function isUnified(): boolean {
  return readIfThere('/sys/fs/cgroup/cgroup.controllers') !== ''
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

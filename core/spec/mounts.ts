/** What is mounted in a container beside its root: the kernel's file systems, the files the core writes, and the wishes. */
import { isAbsolute, normalize } from 'node:path'
import { invalidArgument } from '#api/errors/errors.ts'
import { type IpcMode, shmMounts } from './ipc.ts'
import type { SpecMount } from './runtime-spec.ts'

export interface MountWish {
  type: string
  source: string
  target: string
  options: string[]
}

export interface MountsWish {
  mounts: readonly MountWish[]
  shmSizeBytes: bigint
  privileged: boolean
  readOnlyRoot: boolean
  ipc: IpcMode
  /** Absolute paths of the files that the core keeps for the container; absent where it keeps none. */
  files?: { hosts: string; resolvConf: string; hostname: string }
}

/**
 * The list in the order of mounting: the defaults, then the wishes, parents before what lies in them. A wish for the place
 * of a default takes its place. INVALID_ARGUMENT names the mount that is wrong.
 */
export function composeMounts(wish: MountsWish): SpecMount[] {
  const wished = wish.mounts.map(toSpecMount).sort((a, b) => depth(a.destination) - depth(b.destination))
  const taken = new Set(wished.map(mount => mount.destination))
  const [twice] = wished.filter(
    (mount, at) => wished.findIndex(other => other.destination === mount.destination) !== at,
  )
  if (twice) throw invalidArgument(`two mounts at "${twice.destination}"`)
  const defaults = [...kernelMounts(wish), ...fileMounts(wish)].filter(mount => !taken.has(mount.destination))
  return [...defaults, ...wished]
}

function kernelMounts(wish: MountsWish): SpecMount[] {
  const access = wish.privileged ? 'rw' : 'ro'
  return [
    kernel('/proc', 'proc', ['nosuid', 'noexec', 'nodev']),
    kernel('/dev', 'tmpfs', ['nosuid', 'strictatime', 'mode=755', 'size=65536k']),
    kernel('/dev/pts', 'devpts', ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5']),
    kernel('/sys', 'sysfs', ['nosuid', 'noexec', 'nodev', access]),
    kernel('/sys/fs/cgroup', 'cgroup', [access, 'nosuid', 'noexec', 'nodev']),
    // Of the IPC namespace it is mounted in, the host's included.
    kernel('/dev/mqueue', 'mqueue', ['nosuid', 'noexec', 'nodev']),
    ...shmMounts(wish.ipc, wish.shmSizeBytes),
  ]
}

/** Writable even below a read-only root, as in Docker, unless the whole root is read-only by wish. */
function fileMounts({ files, readOnlyRoot }: MountsWish): SpecMount[] {
  if (!files) return []
  const options = ['rbind', 'rprivate', readOnlyRoot ? 'ro' : 'rw']
  return [
    bind('/etc/resolv.conf', files.resolvConf, options),
    bind('/etc/hostname', files.hostname, options),
    bind('/etc/hosts', files.hosts, options),
  ]
}

function kernel(destination: string, type: string, options: string[]): SpecMount {
  return { destination, type, source: type, options }
}

function bind(destination: string, source: string, options: string[]): SpecMount {
  return { destination, type: 'bind', source, options }
}

function toSpecMount({ type, source, target, options }: MountWish): SpecMount {
  if (!isAbsolute(target)) throw invalidArgument(`mount target "${target}" is not an absolute path`)
  const destination = normalize(target).replace(/(.)\/$/, '$1')
  if (destination === '/') throw invalidArgument('mount target "/" is the root itself')
  if (type === '' || type === 'bind') return bindWish(destination, source, options)
  if (type === 'tmpfs') return { destination, type, source: 'tmpfs', options: tmpfsOptions(options) }
  return { destination, type, source: source || type, options: [...options] }
}

function bindWish(destination: string, source: string, options: string[]): SpecMount {
  if (!isAbsolute(source))
    throw invalidArgument(`source "${source}" of the bind mount at "${destination}" is not an absolute path`)
  const bound = options.includes('bind') || options.includes('rbind') ? [] : ['rbind']
  const propagation = options.some(option => /^r?(shared|slave|private|unbindable)$/.test(option)) ? [] : ['rprivate']
  return bind(destination, normalize(source), [...bound, ...propagation, ...options])
}

/** Docker's: nothing on a scratch file system can be run or be a device, unless asked for. */
function tmpfsOptions(options: string[]): string[] {
  const defaults = ['nosuid', 'nodev', 'noexec'].filter(
    option => !options.includes(option.slice(2)) && !options.includes(option),
  )
  return [...defaults, ...options]
}

function depth(path: string): number {
  return path.split('/').length
}

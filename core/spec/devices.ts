/** Devices: which nodes a container gets beside the runtime's own, and which it may use. */
import { lstat, readdir, realpath, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { invalidArgument } from '#api/errors/errors.ts'
import type { DeviceRule, SpecDevice } from './runtime-spec.ts'

const S_IFMT = 0o170000
const S_IFCHR = 0o020000
const S_IFBLK = 0o060000

/**
 * Docker's allow-list. Making any node is allowed (mknod), using one is not, but for those that the runtime spec
 * wants in every container: null, zero, full, random, urandom, tty, console, ptmx and the pseudo terminals.
 */
export const defaultDeviceRules: readonly DeviceRule[] = [
  { allow: false, access: 'rwm' },
  { allow: true, type: 'c', access: 'm' },
  { allow: true, type: 'b', access: 'm' },
  ...[
    [1, 3],
    [1, 5],
    [1, 7],
    [1, 8],
    [1, 9],
    [5, 0],
    [5, 1],
    [5, 2],
  ].map(([major = 0, minor = 0]): DeviceRule => ({ allow: true, type: 'c', major, minor, access: 'rwm' })),
  { allow: true, type: 'c', major: 136, access: 'rwm' },
]

export interface DeviceWish {
  hostPath: string
  containerPath: string
  permissions: string
}

export interface ComposedDevices {
  devices: SpecDevice[]
  rules: DeviceRule[]
}

/**
 * Looks the wished devices up on the host. INVALID_ARGUMENT for a path that is no device, and for permissions other than
 * letters of r, w and m. A privileged container gets every device of the host.
 */
export async function composeDevices(wishes: readonly DeviceWish[], privileged: boolean): Promise<ComposedDevices> {
  const wished = await Promise.all(wishes.map(inspectDevice))
  const asked = wished.map(({ device }) => device)
  if (privileged) return { devices: merge(await hostDevices('/dev'), asked), rules: [{ allow: true, access: 'rwm' }] }
  return { devices: asked, rules: [...defaultDeviceRules, ...wished.map(({ rule }) => rule)] }
}

async function inspectDevice(wish: DeviceWish): Promise<{ device: SpecDevice; rule: DeviceRule }> {
  const access = wish.permissions || 'rwm'
  if (!/^[rwm]{1,3}$/.test(access))
    throw invalidArgument(`device "${wish.hostPath}": permissions "${access}" are not letters of r, w and m`)
  const path = wish.containerPath || wish.hostPath
  const device = await readDevice(await realpath(wish.hostPath).catch(() => wish.hostPath), resolve('/', path))
  if (!device) throw invalidArgument(`device "${wish.hostPath}" is not a device of this host`)
  const { type, major, minor } = device
  return { device, rule: { allow: true, type: type === 'b' ? 'b' : 'c', major, minor, access } }
}

async function readDevice(hostPath: string, path: string): Promise<SpecDevice | undefined> {
  const info = await stat(hostPath).catch(() => undefined)
  const type = typeOf(info?.mode ?? 0)
  if (!info || !type) return undefined
  const { major, minor } = splitDeviceNumber(info.rdev)
  return { path, type, major, minor, fileMode: info.mode & 0o777, uid: info.uid, gid: info.gid }
}

function typeOf(mode: number): 'c' | 'b' | undefined {
  const kind = mode & S_IFMT
  return kind === S_IFCHR ? 'c' : kind === S_IFBLK ? 'b' : undefined
}

/** glibc's gnu_dev_major and gnu_dev_minor, within the 2^53 that Node reports. */
export function splitDeviceNumber(rdev: number): { major: number; minor: number } {
  const device = BigInt(rdev)
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n)
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffffff00n)
  return { major: Number(major), minor: Number(minor) }
}

/** Those that belong to a mount of the container's own, not to the host's devices. */
const ownMounts = new Set(['pts', 'shm', 'fd', 'mqueue', '.lxc', '.lxd-mounts', 'console'])

async function hostDevices(directory: string): Promise<SpecDevice[]> {
  const entries = await readdir(directory).catch(() => [])
  const found = await Promise.all(
    entries.filter(name => directory !== '/dev' || !ownMounts.has(name)).map(name => hostDevice(join(directory, name))),
  )
  return found.flat()
}

async function hostDevice(path: string): Promise<SpecDevice[]> {
  const info = await lstat(path).catch(() => undefined)
  if (info?.isDirectory()) return hostDevices(path)
  if (!info || info.isSymbolicLink()) return []
  const device = await readDevice(path, path)
  return device ? [device] : []
}

function merge(all: SpecDevice[], asked: SpecDevice[]): SpecDevice[] {
  const byPath = new Map([...all, ...asked].map(device => [device.path, device]))
  return [...byPath.values()]
}

/** Where a container's cgroup lies. */
import { invalidArgument } from '#api/errors/errors.ts'
import type { CgroupDriver } from './host.ts'

export interface CgroupWish {
  driver: string
  /** cgroupfs: a path; systemd: a slice. Empty: ours. */
  parent: string
}

export interface CgroupNaming {
  /** "gantry", or "gantry-<instance>": two daemons of one host do not meet. */
  name: string
  driver: CgroupDriver
}

/**
 * `linux.cgroupsPath`: `/gantry/<namespace>/<id>` for cgroupfs, `slice:prefix:name` for systemd (runc's form; the
 * scope is then `prefix-name.scope`). INVALID_ARGUMENT for an unknown driver or a parent of the other driver's kind.
 */
export function composeCgroupsPath(wish: CgroupWish, naming: CgroupNaming, namespace: string, id: string): string {
  const driver = wish.driver || naming.driver
  if (driver === 'cgroupfs') return cgroupfsPath(wish.parent, naming, namespace, id)
  if (driver === 'systemd') return systemdPath(wish.parent, naming, namespace, id)
  throw invalidArgument(`cgroup_driver "${driver}" is neither "cgroupfs" nor "systemd"`)
}

function cgroupfsPath(parent: string, naming: CgroupNaming, namespace: string, id: string): string {
  if (parent.endsWith('.slice'))
    throw invalidArgument(`cgroup_parent "${parent}" is a systemd slice: the driver is cgroupfs`)
  if (parent.split('/').includes('..')) throw invalidArgument(`cgroup_parent "${parent}" has ".." in it`)
  return parent ? `/${parent.replace(/^\/+|\/+$/g, '')}/${id}` : `/${naming.name}/${namespace}/${id}`
}

function systemdPath(parent: string, naming: CgroupNaming, namespace: string, id: string): string {
  if (parent && !parent.endsWith('.slice'))
    throw invalidArgument(
      `cgroup_parent "${parent}" is no systemd slice: the driver is systemd, so it must end in ".slice"`,
    )
  return `${parent || 'system.slice'}:${naming.name}-${namespace}:${id}`
}

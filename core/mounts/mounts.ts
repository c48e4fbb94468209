/**
 * Mounts the daemon performs and holds for its clients (containerd 2.2's mount manager).
 *
 * An *activation* has a name, unique in its tenant namespace, and a list of mounts. Those that need the daemon, and all
 * before them, are mounted below the daemon's state: they are *active*. The rest is *system*: the client performs it
 * itself. A *temporary* activation has all of them mounted, and one bind mount as its system mount.
 *
 * ```ts
 * const { active, system } = await mounts.activate(ns, 'view', [
 *   { type: 'erofs', source: '/layer.img', target: '', options: ['ro'] },                       // active[0]
 *   { type: 'format/overlay', source: 'overlay', target: '', options: ['lowerdir={{ mount 0 }}', …] },  // system[0]
 * ])
 * ```
 *
 * A mount needs the daemon when its type has a prefix:
 * - `format/`: `{{ source N }}`, `{{ target N }}`, `{{ mount N }}` and `{{ overlay N M }}` in source, target and options
 *   stand for the active mounts' sources, targets and mount points (a colon between those of a range);
 * - `mkdir/`: each option `X-containerd.mkdir.path=/dir[:mode[:uid:gid]]` makes that folder, below the daemon's own folders.
 *
 * Garbage collection knows activations: one that no lease holds and no label names (`gc.ref.mount`, `gc.bref.*` of its
 * own) is undone. A reboot undoes all; their records go at the next start.
 */

import type { Mount } from '#api/types/mount.ts'
import type { ActiveMountRecord } from '#core/metadata/metadata.ts'

export interface Activation {
  readonly name: string
  /** Performed by the daemon, in order. */
  readonly active: readonly ActiveMountRecord[]
  /** Left to the client, in order. */
  readonly system: readonly Mount[]
  readonly labels: Readonly<Record<string, string>>
}

export interface ActivateOptions {
  readonly labels?: Readonly<Record<string, string>>
  readonly temporary?: boolean
  /** Id of the lease that is to hold it. */
  readonly lease?: string | undefined
}

export interface Mounts {
  /**
   * Performs what needs the daemon. UNIMPLEMENTED when nothing does (the caller mounts as ever), and for a prefix or
   * type this daemon has no handler for; ALREADY_EXISTS; NOT_FOUND for the lease; INVALID_ARGUMENT for a template or option.
   */
  activate(ns: string, name: string, mounts: readonly Mount[], options?: ActivateOptions): Promise<Activation>

  /** Undoes an activation. NOT_FOUND. */
  deactivate(ns: string, name: string): Promise<void>

  /** NOT_FOUND. */
  info(ns: string, name: string): Promise<Activation>

  /** Changes labels (`labels`, `labels.<key>`; none means all). NOT_FOUND; INVALID_ARGUMENT for another path. */
  update(
    ns: string,
    change: { name: string; labels: Readonly<Record<string, string>> },
    fieldPaths?: readonly string[],
  ): Promise<Activation>

  /** All that match one of `filters` (`name`, `labels`), by name. */
  list(ns: string, filters?: readonly string[]): Promise<Activation[]>
}

export { MountManager } from './mount-manager.ts'
export { mountsService } from './service.ts'

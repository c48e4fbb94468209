import { KeyedLock } from '#api/concurrency/keyed-lock.ts'
import { alreadyExists, invalidArgument, messageOf, notFound, notImplemented } from '#api/errors/errors.ts'
import { mapField, parseFilters } from '#api/filters/filters.ts'
import type { Logger } from '#api/log/log.ts'
import { validateLabels } from '#api/types/identifiers.ts'
import type { Mount } from '#api/types/mount.ts'
import { requireLease } from '#core/leases/leases.ts'
import {
  type ActiveMountRecord,
  applyMapPath,
  type Metadata,
  type MountRecord,
  namespaceNames,
  now,
  objectKey,
  touchNamespace,
  validateName,
  withoutEmpty,
} from '#core/metadata/metadata.ts'
import { MountFolders } from './mount-folders.ts'
import type { ActivateOptions, Activation, Mounts } from './mounts.ts'
import { prefixesOf, transform } from './transforms.ts'

export interface MountManagerOptions {
  readonly metadata: Metadata
  /** Folder of the mount points; volatile. */
  readonly folder: string
  /** Folders that `mkdir/` may work in. */
  readonly roots: readonly string[]
  readonly logger: Logger
}

/** Activations recorded in the metadata store, mounted below one folder. */
export class MountManager implements Mounts {
  readonly #options: MountManagerOptions
  readonly #folders: MountFolders
  readonly #locks = new KeyedLock()
  /** Activations under way, by number. */
  readonly #making = new Map<number, { ns: string; name: string }>()

  private constructor(options: MountManagerOptions, folders: MountFolders) {
    this.#options = options
    this.#folders = folders
  }

  /** Drops records of activations that a crash or a reboot undid. */
  static async open(options: MountManagerOptions): Promise<MountManager> {
    const manager = new MountManager(options, await MountFolders.open(options.folder))
    await manager.#dropUndone()
    return manager
  }

  activate(ns: string, name: string, mounts: readonly Mount[], options: ActivateOptions = {}): Promise<Activation> {
    validateName(name, 'mount name')
    validateLabels(options.labels ?? {}, 'mount.Labels')
    return this.#locks.run(JSON.stringify([ns, name]), () => this.#activate(ns, name, mounts, options))
  }

  async deactivate(ns: string, name: string): Promise<void> {
    await this.#locks.run(JSON.stringify([ns, name]), async () => {
      const { sequence } = this.#options.metadata.write(
        tx => {
          const record = tx.get<MountRecord>(objectKey(ns, 'mounts', name))
          if (record === undefined) throw notFound(`missing mount "${name}" bucket`)
          tx.delete(objectKey(ns, 'mounts', name))
          return record
        },
        { frees: true },
      )
      await this.#folders.release(sequence)
    })
  }

  async info(ns: string, name: string): Promise<Activation> {
    const record = this.#options.metadata.read(tx => tx.get<MountRecord>(objectKey(ns, 'mounts', name)))
    if (record === undefined) throw missing(name)
    return activationOf(name, record)
  }

  async update(
    ns: string,
    { name, labels: given }: { name: string; labels: Readonly<Record<string, string>> },
    fieldPaths: readonly string[] = [],
  ): Promise<Activation> {
    const paths = fieldPaths.length === 0 ? ['labels'] : fieldPaths
    return this.#options.metadata.write(tx => {
      const record = tx.get<MountRecord>(objectKey(ns, 'mounts', name))
      if (record === undefined) throw missing(name)
      let labels = record.labels
      for (const path of paths) {
        const changed = applyMapPath(path, 'labels', labels, given)
        if (changed === undefined) throw invalidArgument(`cannot update "${path}" field on mount "${name}"`)
        labels = withoutEmpty(changed)
      }
      validateLabels(labels, 'mount.Labels')
      const next: MountRecord = { ...record, labels, updatedAt: now() }
      tx.put(objectKey(ns, 'mounts', name), next)
      return activationOf(name, next)
    })
  }

  async list(ns: string, filters: readonly string[] = []): Promise<Activation[]> {
    const matches = parseFilters(filters)
    const rows = this.#options.metadata.read(tx => [...tx.list<MountRecord>(objectKey(ns, 'mounts'))])
    return rows
      .map(({ key, value }) => activationOf(String(key.at(-1)), value))
      .filter(({ name, labels }) =>
        matches(([field, ...rest]) => {
          if (field === 'name') return name
          return field === 'labels' ? mapField(labels, rest) : undefined
        }),
      )
  }

  /** Activations under way: garbage collection leaves them alone. */
  underWay(): { ns: string; name: string }[] {
    return [...this.#making.values()]
  }

  /** Undoes what is mounted for no record: after a collection, and what a crash left. */
  async sweep(): Promise<void> {
    const { metadata, logger } = this.#options
    const found = await this.#folders.sequences()
    const wanted = metadata.read(
      tx =>
        new Set(
          namespaceNames(tx).flatMap(ns =>
            Array.from(tx.list<MountRecord>(objectKey(ns, 'mounts')), ({ value }) => value.sequence),
          ),
        ),
    )
    for (const sequence of found) {
      if (wanted.has(sequence) || this.#making.has(sequence)) continue
      await this.#folders
        .release(sequence)
        .catch(error => logger.warn({ err: error, sequence }, `mounts stay until the next sweep: ${messageOf(error)}`))
    }
  }

  async #activate(
    ns: string,
    name: string,
    mounts: readonly Mount[],
    { labels = {}, temporary = false, lease }: ActivateOptions,
  ): Promise<Activation> {
    const performed = temporary ? mounts.length : mounts.findLastIndex(mount => prefixesOf(mount).length > 0)
    if (performed < 0 || mounts.length === 0)
      throw notImplemented(`nothing in the mounts of "${name}" needs the daemon: perform them as they are`)
    const at = now()
    const begun: MountRecord = {
      sequence: this.#options.metadata.nextSequence(),
      labels: withoutEmpty(labels),
      ...(lease !== undefined && { lease }),
      system: [],
      createdAt: at,
      updatedAt: at,
    }
    this.#making.set(begun.sequence, { ns, name })
    try {
      const stale = this.#begin(ns, name, begun)
      if (stale !== undefined) await this.#folders.release(stale)
      return await this.#perform(ns, name, begun, mounts, performed, temporary)
    } finally {
      this.#making.delete(begun.sequence)
    }
  }

  /** The number of an earlier activation of that name that was cut off. ALREADY_EXISTS when it was not. */
  #begin(ns: string, name: string, record: MountRecord): number | undefined {
    return this.#options.metadata.write(tx => {
      requireLease(tx, ns, record.lease)
      const key = objectKey(ns, 'mounts', name)
      const known = tx.get<MountRecord>(key)
      if (known?.active !== undefined) throw alreadyExists(`mount "${name}"`)
      touchNamespace(tx, ns)
      tx.put(key, record)
      return known?.sequence
    })
  }

  async #perform(
    ns: string,
    name: string,
    begun: MountRecord,
    mounts: readonly Mount[],
    performed: number,
    temporary: boolean,
  ): Promise<Activation> {
    const { metadata, roots, folder } = this.#options
    const active: ActiveMountRecord[] = []
    await using undo = new AsyncDisposableStack()
    undo.defer(() => void metadata.write(tx => tx.delete(objectKey(ns, 'mounts', name))))
    undo.defer(() => this.#folders.release(begun.sequence))
    const prepared = (mount: Mount) => transform(mount, { active, roots: [...roots, folder] })
    for (const [position, mount] of mounts.slice(0, performed).entries())
      active.push(await this.#folders.mount(begun.sequence, position, prepared(mount)))
    const [first, ...rest] = mounts.slice(performed)
    const system = first === undefined ? [] : [prepared(first), ...rest]
    if (temporary) system.push(bindOf(active.at(-1)))
    const record: MountRecord = { ...begun, active, system, updatedAt: now() }
    metadata.write(tx => {
      if (tx.get(objectKey(ns, 'mounts', name)) === undefined) throw missing(name)
      tx.put(objectKey(ns, 'mounts', name), record)
    })
    undo.move()
    return activationOf(name, record)
  }

  async #dropUndone(): Promise<void> {
    const { metadata } = this.#options
    const rows = metadata.read(tx =>
      namespaceNames(tx).flatMap(ns => [...tx.list<MountRecord>(objectKey(ns, 'mounts'))]),
    )
    for (const { key, value } of rows)
      if (value.active === undefined || !(await MountFolders.areMounted(value.active)))
        metadata.write(tx => tx.delete(key))
  }
}

function bindOf(last: ActiveMountRecord | undefined): Mount {
  return { type: 'bind', source: last?.mountPoint ?? '', target: '', options: ['rbind'] }
}

function missing(name: string): Error {
  return notFound(`mount "${name}"`)
}

function activationOf(name: string, { active = [], system, labels }: MountRecord): Activation {
  return { name, active, system: system.map(mount => ({ ...mount, options: [...mount.options] })), labels }
}

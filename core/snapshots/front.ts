import { failedPrecondition, invalidArgument } from '#api/errors/errors.ts'
import { type Filter, mapField, parseFilters } from '#api/filters/filters.ts'
import { SnapshotCommit, SnapshotPrepare, SnapshotRemove } from '#api/gen/containerd/events/snapshot.ts'
import { validateLabels } from '#api/types/identifiers.ts'
import { eventAny } from '#core/events/events.ts'
import { removeFromLease, snapshotResource } from '#core/leases/leases.ts'
import {
  Announcements,
  applyMapPath,
  type CommitIntent,
  namespaceNames,
  now,
  objectKey,
  Pace,
  type SnapshotRecord,
  type StringMap,
  validateName,
  withoutEmpty,
} from '#core/metadata/metadata.ts'
import { Commits } from './commits.ts'
import type { FrontContext, FrontOptions } from './context.ts'
import { createSnapshot } from './create.ts'
import { snapshotRefLabel, visibleToBackend } from './labels.ts'
import { SnapshotRecords } from './records.ts'
import type {
  Mount,
  NamespacedSnapshotter,
  SnapshotInfo,
  SnapshotOptions,
  SnapshotterBackend,
  SnapshotUsage,
} from './snapshots.ts'
import { removeFromBackend, sweepBackend, unwanted } from './sweep.ts'

/** One snapshotter as the tenant namespaces see it; the rules are in snapshots.ts. */
export class SnapshotterFront implements NamespacedSnapshotter {
  readonly name: string
  readonly #context: FrontContext
  readonly #commits: Commits
  /** Set until a sweep has seen the backend: a crash may have left something. */
  #dirty = true
  /** What the backend still has of removed records, by its own keys, children first. */
  readonly #removed = new Set<string>()
  #used = false

  constructor(options: FrontOptions) {
    this.name = options.name
    this.#context = { ...options, making: new Announcements(), markDirty: () => this.markDirty() }
    this.#commits = new Commits(this.#context)
  }

  async prepare(ns: string, key: string, parent: string, options: SnapshotOptions = {}): Promise<Mount[]> {
    const mounts = await createSnapshot(this.#context, await this.#backend(), {
      kind: 'active',
      ns,
      key,
      parent,
      options,
    })
    const event = eventAny('containerd.events.SnapshotPrepare', SnapshotPrepare, {
      key,
      parent,
      snapshotter: this.name,
    })
    this.#context.events.publish(ns, '/snapshot/prepare', event)
    return mounts
  }

  async view(ns: string, key: string, parent: string, options: SnapshotOptions = {}): Promise<Mount[]> {
    return await createSnapshot(this.#context, await this.#backend(), { kind: 'view', ns, key, parent, options })
  }

  async commit(
    ns: string,
    name: string,
    key: string,
    options: SnapshotOptions & { parent?: string | undefined } = {},
  ): Promise<void> {
    validateName(name, 'snapshot name')
    validateLabels(options.labels ?? {}, 'info.Labels')
    await this.#commits.commit(await this.#backend(), ns, name, key, options)
    const event = eventAny('containerd.events.SnapshotCommit', SnapshotCommit, { key, name, snapshotter: this.name })
    this.#context.events.publish(ns, '/snapshot/commit', event)
  }

  async remove(ns: string, key: string, { lease }: { lease?: string | undefined } = {}): Promise<void> {
    const records = this.#records(ns)
    // A commit cut off by a crash is decided first; otherwise the backend need not run.
    if (this.#context.metadata.read(tx => this.#commits.isCommitting(tx, ns, key))) await this.#backend()
    const backendKey = this.#context.metadata.write(
      tx => {
        const record = records.require(tx, key)
        if (records.hasChildren(tx, record)) throw failedPrecondition('cannot remove snapshot with child')
        if (this.#commits.isCommitting(tx, ns, key))
          throw failedPrecondition(`cannot remove snapshot "${key}" while it is being committed`)
        records.delete(tx, key, record)
        removeFromLease(tx, ns, lease, snapshotResource(this.name, key))
        return record.backendKey
      },
      { frees: true },
    )
    this.#removed.add(backendKey)
    const event = eventAny('containerd.events.SnapshotRemove', SnapshotRemove, { key, snapshotter: this.name })
    this.#context.events.publish(ns, '/snapshot/remove', event)
  }

  async stat(ns: string, key: string, signal?: AbortSignal): Promise<SnapshotInfo> {
    const backend = await this.#backend()
    const record = this.#require(ns, key)
    return overlay(key, record, await backend.stat(record.backendKey, signal))
  }

  async update(
    ns: string,
    { name, labels: given }: { name: string; labels: StringMap },
    fieldPaths: readonly string[] = [],
  ): Promise<SnapshotInfo> {
    validateName(name, 'snapshot name')
    const backend = await this.#backend()
    const before = this.#require(ns, name)
    const shown = visibleToBackend(changedLabels(name, before.labels, given, fieldPaths))
    // First the backend: a crash in between is mended by the caller's retry, and only a hint was at stake.
    if (JSON.stringify(shown) !== JSON.stringify(visibleToBackend(before.labels)))
      await backend.update({ name: before.backendKey, labels: shown }, ['labels'])
    this.#context.metadata.write(tx => {
      const current = this.#records(ns).require(tx, name)
      const labels = changedLabels(name, current.labels, given, fieldPaths)
      this.#records(ns).put(tx, name, { ...current, labels, updatedAt: now() })
    })
    return await this.stat(ns, name)
  }

  async *list(ns: string, filters: readonly string[] = [], signal?: AbortSignal): AsyncGenerator<SnapshotInfo> {
    const matches = parseFilters(filters)
    const recorded = () => this.#context.metadata.read(tx => this.#records(ns).all(tx))
    if (recorded().length === 0) return
    const backend = await this.#backend()
    const held = new Map<string, SnapshotInfo>()
    for await (const info of backend.list([], signal)) held.set(info.name, info)
    for (const { name, record } of recorded()) {
      const own = held.get(record.backendKey)
      if (own === undefined) continue
      const info = overlay(name, record, own)
      if (snapshotMatches(matches, info)) yield info
    }
  }

  async mounts(ns: string, key: string, signal?: AbortSignal): Promise<Mount[]> {
    const backend = await this.#backend()
    const { backendKey, kind } = this.#require(ns, key)
    if (kind === 'committed')
      throw failedPrecondition(`failed to get active mount: requested snapshot ${backendKey} not active or view`)
    return await backend.mounts(backendKey, signal)
  }

  async usage(ns: string, key: string, signal?: AbortSignal): Promise<SnapshotUsage> {
    const backend = await this.#backend()
    const { backendKey } = this.#require(ns, key)
    return await backend.usage(backendKey, signal)
  }

  /** The backend may hold something no record knows: the next sweep looks. */
  markDirty(): void {
    this.#dirty = true
  }

  /**
   * Removes from the backend what no record knows. Does nothing when nothing changed since the last sweep, or while
   * the backend was never needed: its process is not started for leftovers alone. Looks through all that the backend has only
   * when something else than {@link remove} may have left something.
   */
  async sweep(): Promise<void> {
    if (!this.isSweepDue || !this.#used) return
    const { logger } = this.#context
    const removed = [...this.#removed]
    const looks = this.#dirty
    this.#removed.clear()
    this.#dirty = false
    try {
      const backend = await this.#backend()
      if (looks) await sweepBackend(backend, () => this.#wanted(), logger)
      else if (!(await removeFromBackend(backend, removed, logger))) this.#dirty = true
    } catch (error) {
      this.#dirty = true
      throw error
    }
  }

  async #backend(): Promise<SnapshotterBackend> {
    this.#used = true
    const backend = await this.#context.backend()
    await this.#commits.settle(backend)
    return backend
  }

  /** The backend was needed in this life of the daemon. */
  get isUsed(): boolean {
    return this.#used
  }

  /** A sweep will look for what no record knows. */
  get isSweepDue(): boolean {
    return this.#dirty || this.#removed.size > 0
  }

  /** What the backend holds, by its keys. Starts it. */
  async held(): Promise<Map<string, SnapshotInfo>> {
    const backend = await this.#backend()
    const held = new Map<string, SnapshotInfo>()
    for await (const info of backend.list()) held.set(info.name, info)
    return held
  }

  /** What {@link sweep} would remove now, by backend key, with its bytes. Nothing while it would not look. */
  async leftovers(): Promise<{ name: string; sizeBytes: number }[]> {
    if (!this.isSweepDue || !this.#used) return []
    return await this.strays()
  }

  /** Snapshots of the backend no record knows, with their bytes. Starts the backend. */
  async strays(): Promise<{ name: string; sizeBytes: number }[]> {
    const backend = await this.#backend()
    const found: { name: string; sizeBytes: number }[] = []
    for (const { name } of await unwanted(backend, () => this.#wanted())) {
      const usage = await backend.usage(name)
      found.push({ name, sizeBytes: Number(usage.sizeBytes) })
    }
    return found
  }

  /** Reads the records in turns; what is stored meanwhile is wanted too. */
  async #wanted(): Promise<(info: SnapshotInfo) => boolean> {
    const { metadata, making } = this.#context
    using watch = metadata.watch()
    const keys = new Set<string>()
    const pace = new Pace()
    for (const ns of metadata.read(namespaceNames)) {
      for await (const entries of metadata.listInSteps<SnapshotRecord>(objectKey(ns, 'snapshots', this.name), pace))
        for (const { value } of entries) keys.add(value.backendKey)
      for (const name of metadata.read(tx => this.#commits.intendedNames(tx, ns))) keys.add(name)
    }
    metadata.read(tx => {
      for (const key of watch.take()) for (const name of backendNames(tx.get(key))) keys.add(name)
    })
    return ({ name, labels }) => keys.has(name) || making.has(name) || making.has(`ref:${labels[snapshotRefLabel]}`)
  }

  #require(ns: string, key: string): SnapshotRecord {
    return this.#context.metadata.read(tx => this.#records(ns).require(tx, key))
  }

  #records(ns: string): SnapshotRecords {
    return new SnapshotRecords(ns, this.name)
  }
}

/** Of a snapshot's record, or of a commit's intent. */
function backendNames(value: Partial<SnapshotRecord & CommitIntent> | undefined): string[] {
  return [value?.backendKey, value?.backendName].filter(name => name !== undefined)
}

/** Ours over the backend's; labels of its own show through. */
function overlay(name: string, record: SnapshotRecord, own: SnapshotInfo): SnapshotInfo {
  const { parent, kind, createdAt, updatedAt, labels } = record
  return { name, parent, kind, createdAt, updatedAt, labels: { ...own.labels, ...labels } }
}

function changedLabels(name: string, current: StringMap, given: StringMap, fieldPaths: readonly string[]): StringMap {
  let labels = current
  for (const path of fieldPaths.length === 0 ? ['labels'] : fieldPaths) {
    const changed = applyMapPath(path, 'labels', labels, given)
    if (changed === undefined) throw invalidArgument(`cannot update "${path}" field on snapshot "${name}"`)
    labels = changed
  }
  validateLabels(labels, 'info.Labels')
  return withoutEmpty(labels)
}

function snapshotMatches(matches: Filter, info: SnapshotInfo): boolean {
  return matches(([field, ...rest]) => {
    if (field === 'name' || field === 'parent' || field === 'kind') return info[field]
    return field === 'labels' ? mapField(info.labels, rest) : undefined
  })
}

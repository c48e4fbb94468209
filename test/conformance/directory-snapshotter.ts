/**
 * The plainest real snapshotter: a directory per snapshot, copied from its parent, and an index file. It lets the
 * core's front be tested without a plugin process, on any filesystem and without root.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cp, mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { alreadyExists, failedPrecondition, invalidArgument, notFound, notImplemented } from '#api/errors/errors.ts'
import { mapField, parseFilters } from '#api/filters/filters.ts'
import { now } from '#core/metadata/metadata.ts'
import type { Mount, SnapshotInfo, SnapshotKind, SnapshotterBackend } from '#core/snapshots/snapshots.ts'

interface Entry {
  parent: string
  kind: SnapshotKind
  labels: Record<string, string>
  folder: string
}

export class DirectorySnapshotter implements SnapshotterBackend {
  readonly #root: string
  readonly #indexPath: string
  #index: Record<string, Entry>

  constructor(root: string) {
    this.#root = root
    this.#indexPath = join(root, 'index.json')
    this.#index = existsSync(this.#indexPath) ? JSON.parse(readFileSync(this.#indexPath, 'utf8')) : {}
  }

  prepare(key: string, parent: string, labels: Readonly<Record<string, string>>): Promise<Mount[]> {
    return this.#create('active', key, parent, labels)
  }

  view(key: string, parent: string, labels: Readonly<Record<string, string>>): Promise<Mount[]> {
    return this.#create('view', key, parent, labels)
  }

  async commit(
    name: string,
    key: string,
    { labels, parent }: { labels: Readonly<Record<string, string>>; parent: string },
  ): Promise<void> {
    const entry = this.#require(key)
    if (entry.kind !== 'active') throw failedPrecondition(`failed to commit snapshot: snapshot "${key}" is not active`)
    if (this.#index[name] !== undefined) throw alreadyExists(`snapshot "${name}"`)
    if (parent !== '') throw notImplemented('a directory cannot be rebased')
    delete this.#index[key]
    this.#index[name] = { ...entry, kind: 'committed', labels: { ...labels } }
    this.#save()
  }

  async remove(key: string): Promise<void> {
    const { folder } = this.#require(key)
    if (Object.values(this.#index).some(({ parent }) => parent === key))
      throw failedPrecondition(`cannot remove snapshot "${key}" with child`)
    delete this.#index[key]
    this.#save()
    await rm(join(this.#root, folder), { recursive: true })
  }

  async stat(key: string): Promise<SnapshotInfo> {
    return this.#info(key, this.#require(key))
  }

  async update({ name, labels }: { name: string; labels: Readonly<Record<string, string>> }): Promise<SnapshotInfo> {
    this.#require(name).labels = { ...labels }
    this.#save()
    return await this.stat(name)
  }

  async *list(filters: readonly string[] = []): AsyncGenerator<SnapshotInfo> {
    const matches = parseFilters(filters)
    for (const [key, entry] of Object.entries(this.#index)) {
      const info = this.#info(key, entry)
      if (matches(path => field(info, path))) yield info
    }
  }

  async mounts(key: string): Promise<Mount[]> {
    const { kind, folder } = this.#require(key)
    if (kind === 'committed') throw failedPrecondition(`requested snapshot ${key} not active or view`)
    const options = ['rbind', kind === 'view' ? 'ro' : 'rw']
    return [{ type: 'bind', source: join(this.#root, folder), target: '', options }]
  }

  async usage(key: string): Promise<{ sizeBytes: bigint; inodes: bigint }> {
    const folder = join(this.#root, this.#require(key).folder)
    const names = await readdir(folder, { recursive: true })
    const sizes = await Promise.all(names.map(async name => (await stat(join(folder, name))).size))
    return { sizeBytes: BigInt(sizes.reduce((a, b) => a + b, 0)), inodes: BigInt(names.length + 1) }
  }

  async cleanup(): Promise<void> {
    throw notImplemented('directories are removed at once')
  }

  async #create(
    kind: 'active' | 'view',
    key: string,
    parent: string,
    labels: Readonly<Record<string, string>>,
  ): Promise<Mount[]> {
    if (this.#index[key] !== undefined) throw alreadyExists(`snapshot "${key}"`)
    const below = parent === '' ? undefined : this.#require(parent)
    if (below !== undefined && below.kind !== 'committed')
      throw invalidArgument(`failed to create snapshot: parent "${parent}" is not committed snapshot`)
    const folder = `${Object.keys(this.#index).length}-${process.hrtime.bigint()}`
    if (below === undefined) await mkdir(join(this.#root, folder), { recursive: true })
    else await cp(join(this.#root, below.folder), join(this.#root, folder), { recursive: true })
    this.#index[key] = { parent, kind, labels: { ...labels }, folder }
    this.#save()
    return await this.mounts(key)
  }

  #require(key: string): Entry {
    const entry = this.#index[key]
    if (entry === undefined) throw notFound(`snapshot ${key}`)
    return entry
  }

  #info(name: string, { parent, kind, labels }: Entry): SnapshotInfo {
    const at = now()
    return { name, parent, kind, labels, createdAt: at, updatedAt: at }
  }

  #save(): void {
    writeFileSync(this.#indexPath, JSON.stringify(this.#index))
  }
}

function field(info: SnapshotInfo, [name, ...rest]: readonly string[]): string | undefined {
  if (name === 'name' || name === 'parent' || name === 'kind') return info[name]
  return name === 'labels' ? mapField(info.labels, rest) : undefined
}

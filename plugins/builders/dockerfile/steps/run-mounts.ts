/** The mounts of a RUN: made for the step, undone after it. */
import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { chmod, chown, mkdir, rm } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { KeyedLock } from '#api/concurrency/keyed-lock.ts'
import { notFound } from '#api/errors/errors.ts'
import { applyLayer } from '#api/sys/sys.ts'
import { touchMountCache } from '../cache/mount-caches.ts'
import { DirectorySource } from '../files/directory-source.ts'
import { resolvePath, type SourceTree } from '../files/source-tree.ts'
import type { RunMount } from '../language/mount.ts'
import { layerArchive } from './copy-archive.ts'
import type { CopyEntry } from './copy-entries.ts'
import { agentMount, secretMount } from './secret-mounts.ts'
import { selectEntries } from './select-sources.ts'

/** As ContainerConfig has them. */
export interface ContainerMount {
  readonly type: string
  readonly source: string
  readonly target: string
  readonly options: string[]
}

export interface MountPlaces {
  /** Durable: caches live on from build to build. */
  readonly caches: string
  /** The build's own folder. */
  readonly state: string
  readonly context: SourceTree
  /** What the client handed over, by id. */
  readonly secrets: Readonly<Record<string, Buffer>>
  /** Sockets of ssh agents, by id. */
  readonly agents: Readonly<Record<string, string>>
  /** What `from` names, for as long as the step runs: a root as a directory (a private one with `rw`), or files. */
  open(
    from: string,
    access: 'ro' | 'rw',
    undo: AsyncDisposableStack,
  ): Promise<{ folder: string } | { tree: SourceTree }>
}

/** What a step's container gets beside its root. */
export interface StepMounts {
  readonly mounts: ContainerMount[]
  /** `NAME=value` */
  readonly env: string[]
}

const caching = new KeyedLock()

/** INVALID_ARGUMENT and NOT_FOUND name the mount. */
export async function runMounts(
  wanted: readonly RunMount[],
  workingDir: string,
  places: MountPlaces,
  undo: AsyncDisposableStack,
): Promise<StepMounts> {
  const made: StepMounts = { mounts: [], env: [] }
  for (const one of wanted) {
    if (one.type === 'secret' || one.type === 'ssh') {
      const given = await (one.type === 'secret' ? secretMount : agentMount)(one, places, undo)
      const mounts = given.mounts.map(mount => ({ ...mount, target: posix.resolve('/', workingDir, mount.target) }))
      made.mounts.push(...mounts)
      made.env.push(...given.env)
      continue
    }
    const target = posix.resolve('/', workingDir, one.target)
    made.mounts.push({ ...(await sourceOf(one, one.type, places, undo)), target })
  }
  return made
}

async function sourceOf(
  mount: RunMount,
  type: 'tmpfs' | 'cache' | 'bind',
  places: MountPlaces,
  undo: AsyncDisposableStack,
) {
  const access = mount.readOnly ? 'ro' : 'rw'
  switch (type) {
    case 'tmpfs': {
      const size = mount.sizeBytes === undefined ? [] : [`size=${mount.sizeBytes}`]
      return { type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'nodev', ...size] }
    }
    case 'cache':
      return { type: 'bind', source: await cacheFolder(mount, places, undo), options: ['bind', access] }
    case 'bind':
      return { type: 'bind', source: await bound(mount, places, undo), options: ['bind', access] }
  }
}

/** A folder per id; `locked` waits for who has it, `private` gets one of its own. */
async function cacheFolder(mount: RunMount, places: MountPlaces, undo: AsyncDisposableStack) {
  const { id, sharing, mode, uid, gid } = mount
  const { caches, state } = places
  const name = createHash('sha256').update(id).digest('hex').slice(0, 32)
  const folder = sharing === 'private' ? join(state, `cache-${crypto.randomUUID()}`) : join(caches, name)
  if (sharing === 'locked') await held(folder, undo)
  const made = await mkdir(folder, { recursive: true, mode: 0o755 })
  if (made !== undefined) {
    if (mount.from !== '') await fill(folder, mount, places, undo)
    await chmod(folder, mode ?? 0o755)
    await chown(folder, uid, gid)
  }
  await touchMountCache(folder)
  return folder
}

/** Resolves when the lock is ours; it is let go with `undo`. */
async function held(key: string, undo: AsyncDisposableStack): Promise<void> {
  const ours = Promise.withResolvers<void>()
  const done = Promise.withResolvers<void>()
  void caching.run(key, async () => {
    ours.resolve()
    await done.promise
  })
  await ours.promise
  undo.defer(() => done.resolve())
}

/** A new cache begins with what `from` has at `source`. */
async function fill(folder: string, { from, source }: RunMount, places: MountPlaces, undo: AsyncDisposableStack) {
  const tree = await treeOf(from, places, undo)
  const start = await resolvePath(tree, posix.resolve('/', source))
  const entries = (await selectEntries(tree, start)).filter(({ path }) => path !== start)
  await unpack(
    entries.map(entry => ({ ...entry, path: `/${posix.relative(start, entry.path)}` })),
    folder,
  )
}

async function treeOf(from: string, places: MountPlaces, undo: AsyncDisposableStack): Promise<SourceTree> {
  const opened = await places.open(from, 'ro', undo)
  return 'tree' in opened ? opened.tree : new DirectorySource(opened.folder)
}

/** What is bound: links are followed within their own tree, never by this machine. Writes go to a copy that nobody keeps. */
async function bound(
  { from, source, readOnly }: RunMount,
  places: MountPlaces,
  undo: AsyncDisposableStack,
): Promise<string> {
  const opened = from === '' ? { tree: places.context } : await places.open(from, readOnly ? 'ro' : 'rw', undo)
  const path = posix.resolve('/', source)
  if ('folder' in opened) {
    const tree = new DirectorySource(opened.folder)
    const found = await resolvePath(tree, path)
    if ((await tree.at(found)) === undefined) throw notFound(`"${source}" in "${from}", which RUN binds`)
    return join(opened.folder, found)
  }
  const folder = join(places.state, `bind-${crypto.randomUUID()}`)
  await mkdir(folder, { mode: 0o755 })
  undo.defer(() => rm(folder, { recursive: true, force: true }))
  await unpack(await selectEntries(opened.tree, source), folder)
  return join(folder, await resolvePath(opened.tree, path))
}

/** Entries as files; owners, modes and links as they are in the tree. */
async function unpack(entries: readonly CopyEntry[], folder: string): Promise<void> {
  const file = `${folder}.tar`
  try {
    await pipeline(layerArchive(entries), createWriteStream(file, { mode: 0o600 }))
    await applyLayer({ source: file, target: folder, format: 'plain', compression: 'none' })
  } finally {
    await rm(file, { force: true })
  }
}

/** The mounts of a RUN: made for the step, undone after it. */
import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { chmod, chown, mkdir, rm } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { KeyedLock } from '#api/concurrency/keyed-lock.ts'
import { notImplemented } from '#api/errors/errors.ts'
import { applyLayer } from '#api/sys/sys.ts'
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
  /** A stage's or an image's root as a directory, for as long as the step runs. */
  view(from: string, undo: AsyncDisposableStack): Promise<string>
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
      if (!mount.readOnly) throw notImplemented('RUN --mount=type=bind,rw')
      return { type: 'bind', source: await bound(mount, places, undo), options: ['bind', 'ro'] }
  }
}

/** A folder per id; `locked` waits for who has it, `private` gets one of its own. */
async function cacheFolder(
  { id, sharing, mode, uid, gid, from }: RunMount,
  { caches, state }: MountPlaces,
  undo: AsyncDisposableStack,
) {
  if (from !== '') throw notImplemented(`RUN --mount=type=cache with from=${from}`)
  const name = createHash('sha256').update(id).digest('hex').slice(0, 32)
  const folder = sharing === 'private' ? join(state, `cache-${crypto.randomUUID()}`) : join(caches, name)
  if (sharing === 'locked') await held(folder, undo)
  const made = await mkdir(folder, { recursive: true, mode: 0o755 })
  if (made !== undefined) {
    await chmod(folder, mode ?? 0o755)
    await chown(folder, uid, gid)
  }
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

async function bound({ from, source }: RunMount, places: MountPlaces, undo: AsyncDisposableStack): Promise<string> {
  if (from !== '') return join(await places.view(from, undo), posix.resolve('/', source))
  const { context, state } = places
  const folder = join(state, `bind-${crypto.randomUUID()}`)
  await mkdir(folder, { mode: 0o755 })
  undo.defer(() => rm(folder, { recursive: true, force: true }))
  await unpack(await selectEntries(context, source), folder)
  return join(folder, await resolvePath(context, posix.resolve('/', source)))
}

/** Entries as files; owners, modes and links as they are in the tree. */
async function unpack(entries: readonly CopyEntry[], folder: string): Promise<void> {
  const file = `${folder}.tar`
  const { archive, written } = layerArchive(entries)
  try {
    await pipeline(archive as AsyncIterable<Uint8Array>, createWriteStream(file, { mode: 0o600 }))
    await written
    await applyLayer({ source: file, target: folder, format: 'plain', compression: 'none' })
  } finally {
    await rm(file, { force: true })
  }
}

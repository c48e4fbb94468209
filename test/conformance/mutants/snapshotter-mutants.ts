/** Snapshotters that are right but for one thing. Each is ours with one verb replaced. */
import { internal, isGantryError } from '#api/errors/errors.ts'
import type { Mount, SnapshotInfo, Snapshotter } from '#sdk/snapshotter.ts'

/** What is broken in words → the verbs that are broken. `opened` counts the openings of this root before this one. */
export type SnapshotterMutants = Readonly<Record<string, (right: Snapshotter, opened: number) => Partial<Snapshotter>>>

const epoch = { seconds: 1n, nanos: 0 }

/** Swallows one kind of refusal. */
async function despite<T>(
  code: 'NOT_FOUND' | 'ALREADY_EXISTS' | 'FAILED_PRECONDITION' | 'INVALID_ARGUMENT',
  call: Promise<T>,
  instead: T | (() => Promise<T>),
): Promise<T> {
  try {
    return await call
  } catch (error) {
    if (!isGantryError(error, code)) throw error
    return typeof instead === 'function' ? await (instead as () => Promise<T>)() : instead
  }
}

/** Changes what is told of a snapshot, wherever it is told. */
const told = (right: Snapshotter, change: (info: SnapshotInfo) => SnapshotInfo): Partial<Snapshotter> => ({
  stat: async key => change(await right.stat(key)),
  async *list(filters) {
    for await (const info of right.list(filters)) yield change(info)
  },
})

async function all(right: Snapshotter): Promise<SnapshotInfo[]> {
  const infos: SnapshotInfo[] = []
  for await (const info of right.list()) infos.push(info)
  return infos
}

const withOptions = (mounts: Mount[], change: (options: readonly string[]) => string[]) =>
  mounts.map(mount => ({ ...mount, options: change(mount.options) }))

const lowerdirs = (mounts: Mount[], change: (folders: string[]) => string[]) =>
  withOptions(mounts, options =>
    options.map(option =>
      option.startsWith('lowerdir=')
        ? `lowerdir=${change(option.slice('lowerdir='.length).split(':')).join(':')}`
        : option,
    ),
  )

const preparing: SnapshotterMutants = {
  'prepare forgets the parent': s => ({ prepare: (key, _parent, options) => s.prepare(key, '', options) }),
  'prepare answers no mounts': s => ({ prepare: async (...args) => (await s.prepare(...args)).slice(0, 0) }),
  'prepare answers read-only mounts': s => ({
    prepare: async (...args) =>
      withOptions(await s.prepare(...args), options => [...options.filter(o => o !== 'rw'), 'ro']),
  }),
  'prepare drops labels': s => ({ prepare: (key, parent) => s.prepare(key, parent) }),
  'prepare takes a key that is taken': s => ({
    prepare: (key, ...rest) => despite('ALREADY_EXISTS', s.prepare(key, ...rest), () => s.mounts(key)),
  }),
  'prepare builds on what is not committed': s => ({
    prepare: (key, parent, options) =>
      despite('INVALID_ARGUMENT', s.prepare(key, parent, options), () => s.prepare(key, '', options)),
  }),
  'prepare makes up a missing parent': s => ({
    prepare: (key, parent, options) =>
      despite('NOT_FOUND', s.prepare(key, parent, options), () => s.prepare(key, '', options)),
  }),
  'prepare answers the layers upside down': s => ({
    prepare: async (...args) => lowerdirs(await s.prepare(...args), folders => folders.toReversed()),
  }),
  'prepare leaves out the lowest layer': s => ({
    prepare: async (...args) =>
      lowerdirs(await s.prepare(...args), folders => (folders.length > 1 ? folders.slice(0, -1) : folders)),
  }),
  'prepare calls a refusal internal': s => ({
    prepare: async (...args) => {
      try {
        return await s.prepare(...args)
      } catch (error) {
        throw internal(String(error))
      }
    },
  }),
  'view is writable': s => ({ view: (...args) => s.prepare(...args) }),
  'view forgets the parent': s => ({ view: (key, _parent, options) => s.view(key, '', options) }),
  'view drops labels': s => ({ view: (key, parent) => s.view(key, parent) }),
  'mounts are told of a committed one': s => ({ mounts: key => despite('FAILED_PRECONDITION', s.mounts(key), []) }),
  'mounts are other ones the second time': s => ({
    mounts: async key => withOptions(await s.mounts(key), options => [...options, 'nosuid']),
  }),
  'mounts of nothing are none': s => ({ mounts: key => despite('NOT_FOUND', s.mounts(key), []) }),
}

const committing: SnapshotterMutants = {
  'commit keeps the key': s => {
    const kept = new Map<string, SnapshotInfo>()
    return {
      commit: async (name, key, options) => {
        const info = await s.stat(key)
        await s.commit(name, key, options)
        kept.set(key, info)
      },
      stat: key => despite('NOT_FOUND', s.stat(key), async () => kept.get(key) ?? (await s.stat(key))),
    }
  },
  'commit drops labels': s => ({
    commit: (name, key, { parent } = {}) => s.commit(name, key, parent ? { parent } : {}),
  }),
  'commit keeps the labels of the active one': s => ({
    commit: async (name, key, options = {}) => {
      const { labels } = await s.stat(key)
      await s.commit(name, key, { ...options, labels: { ...options.labels, ...labels } })
    },
  }),
  'commit takes what is not active': s => ({
    commit: (...args) => despite('FAILED_PRECONDITION', s.commit(...args), undefined),
  }),
  'commit takes a name that is taken': s => ({
    commit: (...args) => despite('ALREADY_EXISTS', s.commit(...args), undefined),
  }),
  'commit takes what is not there': s => ({ commit: (...args) => despite('NOT_FOUND', s.commit(...args), undefined) }),
  'commit forgets the new parent': s => ({
    commit: (name, key, { labels } = {}) => s.commit(name, key, labels ? { labels } : {}),
  }),
  'commit does nothing': () => ({ commit: async () => {} }),
  'remove takes what others build on': s => ({
    remove: key => despite('FAILED_PRECONDITION', s.remove(key), undefined),
  }),
  'remove does nothing': () => ({ remove: async () => {} }),
  'remove of nothing is fine': s => ({ remove: key => despite('NOT_FOUND', s.remove(key), undefined) }),
  'remove takes the children along': s => {
    const remove = async (key: string): Promise<void> => {
      for (const { name, parent } of await all(s)) if (parent === key) await remove(name)
      await s.remove(key)
    }
    return { remove }
  },
  'remove does not say why': s => ({
    remove: async key => {
      try {
        await s.remove(key)
      } catch (error) {
        if (isGantryError(error, 'FAILED_PRECONDITION')) throw internal('no')
        throw error
      }
    },
  }),
  'cleanup takes active ones along': s => ({
    cleanup: async () => {
      for (const { name, kind } of await all(s)) if (kind === 'active') await s.remove(name)
      await s.cleanup()
    },
  }),
}

const describing: SnapshotterMutants = {
  'everything is active': s => told(s, info => ({ ...info, kind: 'active' })),
  'a view is called active': s => told(s, info => ({ ...info, kind: info.kind === 'view' ? 'active' : info.kind })),
  'nobody has a parent': s => told(s, info => ({ ...info, parent: '' })),
  'labels are not told': s => told(s, info => ({ ...info, labels: {} })),
  'it was all made long ago': s => told(s, info => ({ ...info, createdAt: epoch })),
  'a change is not dated': s => told(s, info => ({ ...info, updatedAt: info.createdAt })),
  'stat of nothing is internal': s => ({
    stat: async key => {
      try {
        return await s.stat(key)
      } catch (error) {
        throw internal(String(error))
      }
    },
  }),
  'stat knows labels that list does not': s => {
    const { list } = told(s, info => ({ ...info, labels: {} }))
    return list ? { list } : {}
  },
  'update ignores its paths': s => ({ update: info => s.update(info) }),
  'update adds where it should replace': s => ({
    update: async (info, paths) =>
      paths
        ? await s.update(info, paths)
        : await s.update({ ...info, labels: { ...(await s.stat(info.name)).labels, ...info.labels } }),
  }),
  'update takes any path': s => ({
    update: (info, paths) => despite('INVALID_ARGUMENT', s.update(info, paths), () => s.stat(info.name)),
  }),
  'update answers what was before': s => ({
    update: async (info, paths) => {
      const before = await s.stat(info.name)
      await s.update(info, paths)
      return before
    },
  }),
  'update does nothing': s => ({ update: info => s.stat(info.name) }),
  'list ignores filters': s => ({ list: () => s.list() }),
  'list takes the first filter alone': s => ({ list: filters => s.list(filters?.slice(0, 1)) }),
  'list ends early': s => ({
    async *list(filters) {
      let left = 100
      for await (const info of s.list(filters)) if (left-- > 0) yield info
    },
  }),
  'list leaves out views': s => ({
    async *list(filters) {
      for await (const info of s.list(filters)) if (info.kind !== 'view') yield info
    },
  }),
  'list answers a bad filter with nothing': s => ({
    async *list(filters) {
      try {
        yield* s.list(filters)
      } catch (error) {
        if (!isGantryError(error, 'INVALID_ARGUMENT')) throw error
      }
    },
  }),
  'usage is nothing': () => ({ usage: async () => ({ bytes: 0, inodes: 0 }) }),
  'usage counts the parents too': s => ({
    usage: async key => {
      const own = await s.usage(key)
      const { parent } = await s.stat(key)
      return parent === '' ? own : { ...own, bytes: own.bytes + (await s.usage(parent)).bytes }
    },
  }),
  'usage of nothing is nothing': s => ({ usage: key => despite('NOT_FOUND', s.usage(key), { bytes: 0, inodes: 0 }) }),
  'a restart forgets labels': (s, opened) => (opened === 0 ? {} : told(s, info => ({ ...info, labels: {} }))),
  'a restart forgets active ones': (s, opened) =>
    opened === 0
      ? {}
      : {
          async *list(filters) {
            for await (const info of s.list(filters)) if (info.kind !== 'active') yield info
          },
        },
  'a second close is an error': s => {
    let closed = false
    return {
      close: async () => {
        if (closed) throw internal('closed already')
        closed = true
        await s.close()
      },
    }
  },
}

export const snapshotterMutants: SnapshotterMutants = { ...preparing, ...committing, ...describing }

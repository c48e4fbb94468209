import { type Info, Kind, SnapshotsDefinition } from '#api/gen/containerd/services/snapshots/v1/snapshots.ts'
import { type CallOptions, type Channel, createClient } from '#api/rpc/client.ts'
import { RecentAnswers } from './recent-answers.ts'
import type { Mount, SnapshotInfo, SnapshotKind, SnapshotterBackend } from './snapshots.ts'

const kinds = new Map<number, SnapshotKind>([
  [Kind.ACTIVE, 'active'],
  [Kind.VIEW, 'view'],
  [Kind.COMMITTED, 'committed'],
])

/** Some servers ask for a namespace header although keys are unique without; containerd sends its caller's. */
const namespace = 'default'

/**
 * Holds what we make against the collections of a server that has some of its own (a containerd): to it, nothing else
 * refers to our snapshots. Other servers keep it as any label; callers never see it.
 */
const root = { 'containerd.io/gc.root': 'gantry' }

/**
 * A snapshotter process behind the snapshots protocol. `snapshotter` goes into each request; a server of many (a
 * containerd) chooses by it, others ignore it. Errors are the server's, UNAVAILABLE when nobody answers.
 */
export function proxyBackend(snapshotter: string, channel: Channel): SnapshotterBackend {
  const client = createClient(SnapshotsDefinition, channel)
  const call = (signal?: AbortSignal): CallOptions => ({ signal, namespace })
  const committed = new RecentAnswers<SnapshotInfo>()
  const mounted = new RecentAnswers<Mount[]>()
  const forget = (key: string) => {
    committed.forget(key)
    mounted.forget(key)
  }
  const remember = (key: string, mounts: Mount[]) => {
    mounted.set(key, mounts, channel.session())
    return mounts
  }
  return {
    async prepare(key, parent, labels, signal) {
      return remember(
        key,
        (await client.prepare({ snapshotter, key, parent, labels: rooted(labels) }, call(signal))).mounts,
      )
    },
    async view(key, parent, labels, signal) {
      return remember(
        key,
        (await client.view({ snapshotter, key, parent, labels: rooted(labels) }, call(signal))).mounts,
      )
    },
    async commit(name, key, { labels, parent }) {
      forget(key)
      await client.commit({ snapshotter, name, key, labels: rooted(labels), parent }, call())
      forget(key)
    },
    async remove(key) {
      forget(key)
      await client.remove({ snapshotter, key }, call())
      forget(key)
    },
    async stat(key, signal) {
      const recent = committed.get(key, channel.session())
      if (recent !== undefined) return recent
      const info = infoOf((await client.stat({ snapshotter, key }, call(signal))).info)
      if (info.kind === 'committed') committed.set(key, info, channel.session())
      return info
    },
    async update(info, fieldPaths) {
      forget(info.name)
      const updateMask = fieldPaths.length === 0 ? undefined : [...fieldPaths]
      const kept = { ...info, labels: rooted(info.labels) }
      return infoOf((await client.update({ snapshotter, info: kept, updateMask }, call())).info)
    },
    async *list(filters = [], signal) {
      for await (const { info } of client.list({ snapshotter, filters: [...filters] }, call(signal)))
        yield* info.map(infoOf)
    },
    async mounts(key, signal) {
      const recent = mounted.get(key, channel.session())
      return recent ?? remember(key, (await client.mounts({ snapshotter, key }, call(signal))).mounts)
    },
    async usage(key, signal) {
      const { size, inodes } = await client.usage({ snapshotter, key }, call(signal))
      return { sizeBytes: size, inodes }
    },
    async cleanup() {
      await client.cleanup({ snapshotter }, call())
    },
  }
}

function rooted(labels: Readonly<Record<string, string>> | undefined): Record<string, string> {
  return { ...labels, ...root }
}

const epoch = { seconds: 0n, nanos: 0 }

function infoOf(info: Info | undefined): SnapshotInfo {
  const { name = '', parent = '', kind = Kind.UNKNOWN, createdAt = epoch, updatedAt = epoch, labels = {} } = info ?? {}
  const own = Object.fromEntries(Object.entries(labels).filter(([key]) => !(key in root)))
  return { name, parent, kind: kinds.get(kind) ?? 'active', createdAt, updatedAt, labels: own }
}

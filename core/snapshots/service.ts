import { invalidArgument, notImplemented } from '#api/errors/errors.ts'
import { type Info, Kind, type SnapshotsDefinition } from '#api/gen/containerd/services/snapshots/v1/snapshots.ts'
import type { ServiceImpl } from '#api/rpc/server.ts'
import type { SnapshotInfo, Snapshots } from './snapshots.ts'

const listBlock = 100
const wireKinds = { active: Kind.ACTIVE, view: Kind.VIEW, committed: Kind.COMMITTED } as const

/** containerd.services.snapshots.v1.Snapshots, as the daemon serves it. */
export function snapshotsService(snapshots: Snapshots): ServiceImpl<typeof SnapshotsDefinition> {
  return {
    async prepare({ snapshotter, key, parent, labels }, { namespace, lease, signal }) {
      return { mounts: await snapshots.on(snapshotter).prepare(namespace, key, parent, { labels, lease, signal }) }
    },
    async view({ snapshotter, key, parent, labels }, { namespace, lease, signal }) {
      return { mounts: await snapshots.on(snapshotter).view(namespace, key, parent, { labels, lease, signal }) }
    },
    async mounts({ snapshotter, key }, { namespace, signal }) {
      return { mounts: await snapshots.on(snapshotter).mounts(namespace, key, signal) }
    },
    async commit({ snapshotter, name, key, labels, parent }, { namespace, lease }) {
      await snapshots.on(snapshotter).commit(namespace, name, key, { labels, lease, parent })
      return {}
    },
    async remove({ snapshotter, key }, { namespace, lease }) {
      await snapshots.on(snapshotter).remove(namespace, key, { lease })
      return {}
    },
    async stat({ snapshotter, key }, { namespace, signal }) {
      return { info: wireInfo(await snapshots.on(snapshotter).stat(namespace, key, signal)) }
    },
    async update({ snapshotter, info, updateMask }, { namespace }) {
      const front = snapshots.on(snapshotter)
      if (info === undefined) throw invalidArgument('info must be set')
      return { info: wireInfo(await front.update(namespace, info, updateMask)) }
    },
    async *list({ snapshotter, filters }, { namespace, signal }) {
      let block: Info[] = []
      for await (const info of snapshots.on(snapshotter).list(namespace, filters, signal)) {
        block.push(wireInfo(info))
        if (block.length < listBlock) continue
        yield { info: block }
        block = []
      }
      if (block.length > 0) yield { info: block }
    },
    async usage({ snapshotter, key }, { namespace, signal }) {
      const { sizeBytes, inodes } = await snapshots.on(snapshotter).usage(namespace, key, signal)
      return { size: sizeBytes, inodes }
    },
    async cleanup({ snapshotter }) {
      snapshots.on(snapshotter)
      // containerd's front never passes it on either: the sweep calls the backend's.
      throw notImplemented('snapshotter does not implement Cleanup method')
    },
  }
}

function wireInfo({ name, parent, kind, createdAt, updatedAt, labels }: SnapshotInfo): Info {
  return { name, parent, kind: wireKinds[kind], createdAt, updatedAt, labels: { ...labels } }
}

/** A snapshotter behind a socket as the same interface: for the suite, which then checks the wire too, and for tools. */
import { SnapshotsDefinition } from '#api/gen/containerd/services/snapshots/v1/snapshots.ts'
import { type Channel, createClient } from '#api/rpc/client.ts'
import { fromWire } from './snapshot-service.ts'
import type { SnapshotInfo, Snapshotter } from './snapshotter.ts'

/** `name` goes into the `snapshotter` field of each request: which one is meant, where a server has several. */
export function snapshotClient(channel: Channel, name: string): Snapshotter {
  const client = createClient(SnapshotsDefinition, channel)
  const snapshotter = name
  return {
    async prepare(key, parent, { labels = {} } = {}) {
      return (await client.prepare({ snapshotter, key, parent, labels })).mounts
    },
    async view(key, parent, { labels = {} } = {}) {
      return (await client.view({ snapshotter, key, parent, labels })).mounts
    },
    async mounts(key) {
      return (await client.mounts({ snapshotter, key })).mounts
    },
    async commit(committed, key, { labels = {}, parent = '' } = {}) {
      await client.commit({ snapshotter, name: committed, key, labels, parent })
    },
    async remove(key) {
      await client.remove({ snapshotter, key })
    },
    async stat(key) {
      const { info } = await client.stat({ snapshotter, key })
      return present(info)
    },
    async update({ name: target, labels }, fieldPaths) {
      const updateMask = fieldPaths && [...fieldPaths]
      const { info } = await client.update({ snapshotter, info: { name: target, labels }, updateMask })
      return present(info)
    },
    async *list(filters = []) {
      for await (const { info } of client.list({ snapshotter, filters })) for (const one of info) yield fromWire(one)
    },
    async usage(key) {
      const { size, inodes } = await client.usage({ snapshotter, key })
      return { bytes: Number(size), inodes: Number(inodes) }
    },
    async cleanup() {
      await client.cleanup({ snapshotter })
    },
    async close() {
      channel.close()
    },
  }
}

function present(info: Parameters<typeof fromWire>[0] | undefined): SnapshotInfo {
  if (info === undefined) throw new TypeError('the snapshotter answered without a description')
  return fromWire(info)
}

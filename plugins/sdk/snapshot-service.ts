/** A snapshotter on the wire: containerd.services.snapshots.v1.Snapshots, the proxy plugin protocol. */
import { failedPrecondition, invalidArgument } from '#api/errors/errors.ts'
import {
  type Info,
  Kind,
  SnapshotsDefinition,
  type UpdateSnapshotRequest,
} from '#api/gen/containerd/services/snapshots/v1/snapshots.ts'
import { type ServedService, service } from './plugin.ts'
import type { SnapshotInfo, SnapshotKind, Snapshotter } from './snapshotter.ts'

/** Infos per message of a list; containerd's own size. */
const listBlock = 100

const kinds = { active: Kind.ACTIVE, view: Kind.VIEW, committed: Kind.COMMITTED } as const satisfies Record<
  SnapshotKind,
  Kind
>

/** Serves `snapshotter`. The `snapshotter` field of requests is the caller's name for us and is not looked at. */
export function snapshotService(snapshotter: Snapshotter): ServedService {
  return service(SnapshotsDefinition, {
    async prepare({ key, parent, labels }) {
      return { mounts: await snapshotter.prepare(key, parent, { labels }) }
    },
    async view({ key, parent, labels }) {
      return { mounts: await snapshotter.view(key, parent, { labels }) }
    },
    async mounts({ key }) {
      return { mounts: await snapshotter.mounts(key) }
    },
    async commit({ name, key, labels, parent }) {
      await snapshotter.commit(name, key, { labels, parent })
      return {}
    },
    async remove({ key }) {
      await snapshotter.remove(key)
      return {}
    },
    async stat({ key }) {
      return { info: toWire(await snapshotter.stat(key)) }
    },
    async update(request) {
      return { info: toWire(await snapshotter.update(target(request), request.updateMask)) }
    },
    async *list({ filters }) {
      for await (const block of blocks(snapshotter.list(filters))) yield { info: block }
    },
    async usage({ key }) {
      const { bytes, inodes } = await snapshotter.usage(key)
      return { size: BigInt(bytes), inodes: BigInt(inodes) }
    },
    async cleanup() {
      await snapshotter.cleanup()
      return {}
    },
  })
}

function target({ info }: UpdateSnapshotRequest): Info {
  if (info === undefined || info.name === '') throw invalidArgument('update needs info.name, the snapshot to change')
  return info
}

async function* blocks(infos: AsyncIterable<SnapshotInfo>): AsyncIterable<Info[]> {
  let block: Info[] = []
  for await (const info of infos) {
    block.push(toWire(info))
    if (block.length < listBlock) continue
    yield block
    block = []
  }
  if (block.length > 0) yield block
}

/** A description as the wire has it. */
function toWire({ kind, labels, ...rest }: SnapshotInfo): Info {
  return { ...rest, kind: kinds[kind], labels: { ...labels } }
}

/** A description as authors have it. FAILED_PRECONDITION for a kind or a time that a sound peer does not send. */
export function fromWire({ kind, createdAt, updatedAt, ...rest }: Info): SnapshotInfo {
  const known = (Object.keys(kinds) as SnapshotKind[]).find(name => kinds[name] === kind)
  if (known === undefined || !createdAt || !updatedAt)
    throw failedPrecondition(`snapshot "${rest.name}" came without a known kind or without its times (kind ${kind})`)
  return { ...rest, kind: known, createdAt, updatedAt }
}

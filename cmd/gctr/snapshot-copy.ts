/** One layer of an image as a committed snapshot of another snapshotter. */
import { randomBytes } from 'node:crypto'
import { dataLoss, isGantryError } from '#api/errors/errors.ts'
import { ContentDefinition } from '#api/gen/containerd/services/content/v1/content.ts'
import { DiffDefinition } from '#api/gen/containerd/services/diff/v1/diff.ts'
import { LeasesDefinition } from '#api/gen/containerd/services/leases/v1/leases.ts'
import { Kind, SnapshotsDefinition } from '#api/gen/containerd/services/snapshots/v1/snapshots.ts'
import type { Descriptor } from '#api/gen/containerd/types/descriptor.ts'
import type { Mount } from '#api/gen/containerd/types/mount.ts'
import type { Session } from './session.ts'

export interface LayerOrder {
  /** Name of the snapshot to make, and of the one below it (empty: none). */
  chainID: string
  parent: string
  /** As the manifest names it; undefined when there are more diffIDs than layers. */
  layer: Descriptor | undefined
  diffID: string | undefined
  to: string
  /** Snapshotters that may have it, for when the layer's blob is gone. */
  sources: readonly string[]
  lease: string
}

/** False when neither the layer's blob nor a snapshot of it is here. */
export async function moveLayer(session: Session, order: LayerOrder): Promise<boolean> {
  const { chainID, parent, to: snapshotter, lease } = order
  if (await held(session, order)) return true
  await using blob = await layerBlob(session, order)
  if (blob.diff === undefined) return false
  const snapshots = session.client(SnapshotsDefinition)
  const key = `move-${randomBytes(6).toString('hex')} ${chainID}`
  await using undo = new AsyncDisposableStack()
  const { mounts } = await snapshots.prepare({ snapshotter, key, parent }, { lease })
  undo.defer(async () => void (await snapshots.remove({ snapshotter, key })))
  const { applied } = await session.client(DiffDefinition).apply({ diff: blob.diff, mounts, syncFs: true }, { lease })
  if (blob.isOriginal && applied?.digest !== order.diffID)
    throw dataLoss(`layer ${blob.diff.digest} unpacks to ${applied?.digest}, not to the image's diffID ${order.diffID}`)
  try {
    await snapshots.commit({ snapshotter, key, name: chainID }, { lease })
    undo.move()
  } catch (error) {
    // Somebody else has committed the same meanwhile; ours goes.
    if (!isGantryError(error, 'ALREADY_EXISTS')) throw error
    return await held(session, order)
  }
  return true
}

/** Whether it is there already; the lease then keeps it. Asked again afterwards: it may have been collected just before. */
async function held(session: Session, { chainID, to, lease }: LayerOrder): Promise<boolean> {
  if (!(await isCommitted(session, to, chainID))) return false
  const resource = { type: `snapshots/${to}`, id: chainID }
  await session.client(LeasesDefinition).addResource({ id: lease, resource })
  return await isCommitted(session, to, chainID)
}

async function isCommitted(session: Session, snapshotter: string, key: string): Promise<boolean> {
  const { info } = await session.client(SnapshotsDefinition).stat({ snapshotter, key }).catch(unlessMissing)
  return info?.kind === Kind.COMMITTED
}

interface LayerBlob extends AsyncDisposable {
  diff?: Descriptor
  /** The image's own, whose diffID is known; else one made of the difference of two snapshots. */
  isOriginal: boolean
}

async function layerBlob(session: Session, order: LayerOrder): Promise<LayerBlob> {
  const { layer, sources, chainID } = order
  const kept = { isOriginal: true, [Symbol.asyncDispose]: async () => {} }
  if (layer && (await session.client(ContentDefinition).info({ digest: layer.digest }).catch(unlessMissing)).info)
    return { ...kept, diff: layer }
  for (const source of sources)
    if (await isCommitted(session, source, chainID)) return await madeOf(session, source, order)
  return kept
}

/** The blob goes with the lease. */
async function madeOf(session: Session, snapshotter: string, order: LayerOrder): Promise<LayerBlob> {
  const { chainID, parent, lease } = order
  await using undo = new AsyncDisposableStack()
  const view = async (name: string): Promise<Mount[]> => {
    if (name === '') return []
    const snapshots = session.client(SnapshotsDefinition)
    const key = `move-${randomBytes(6).toString('hex')} ${name}`
    const { mounts } = await snapshots.view({ snapshotter, key, parent: name }, { lease })
    undo.defer(async () => void (await snapshots.remove({ snapshotter, key })))
    return mounts
  }
  const [left, right] = [await view(parent), await view(chainID)]
  const mediaType = 'application/vnd.oci.image.layer.v1.tar'
  const { diff } = await session.client(DiffDefinition).diff({ left, right, mediaType }, { lease })
  return { ...(diff && { diff }), isOriginal: false, [Symbol.asyncDispose]: async () => {} }
}

function unlessMissing(error: unknown): { info?: undefined } {
  if (!isGantryError(error, 'NOT_FOUND')) throw error
  return {}
}

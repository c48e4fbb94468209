/** prepare and view: the backend makes its snapshot, then the record follows. */
import { alreadyExists, isGantryError, messageOf, notFound, unknown } from '#api/errors/errors.ts'
import { validateLabels } from '#api/types/identifiers.ts'
import { addToLease, requireLease, snapshotResource } from '#core/leases/leases.ts'
import { now, type SnapshotRecord, type StringMap, validateName, withoutEmpty } from '#core/metadata/metadata.ts'
import type { FrontContext } from './context.ts'
import { snapshotRefLabel, visibleToBackend } from './labels.ts'
import { SnapshotRecords } from './records.ts'
import type { Mount, SnapshotInfo, SnapshotOptions, SnapshotterBackend } from './snapshots.ts'

export interface CreateRequest {
  readonly kind: 'active' | 'view'
  readonly ns: string
  readonly key: string
  readonly parent: string
  readonly options: SnapshotOptions
}

/** Where in the backend it goes. */
interface Place {
  readonly sequence: number
  readonly backendKey: string
  readonly backendParent: string
}

/** See `NamespacedSnapshotter.prepare`. */
export async function createSnapshot(
  context: FrontContext,
  backend: SnapshotterBackend,
  request: CreateRequest,
): Promise<Mount[]> {
  validateName(request.key, 'snapshot key')
  const labels = withoutEmpty(request.options.labels ?? {})
  validateLabels(labels, 'info.Labels')
  const target = labels[snapshotRefLabel]
  const place = findPlace(context, request, target)
  using _making = context.making.announce(place.backendKey, ...(target === undefined ? [] : [`ref:${target}`]))
  const mounts = await make(backend, request, place, labels).catch(async (cause: unknown) => {
    context.markDirty()
    if (!isGantryError(cause, 'ALREADY_EXISTS')) throw cause
    return await takeProvided(context, backend, request, place, labels, cause)
  })
  await recordOrUndo(context, backend, request, place, labels)
  return mounts
}

/** ALREADY_EXISTS, with the snapshot leased, when the key (or the layer asked for) is there. */
function findPlace(context: FrontContext, request: CreateRequest, target: string | undefined): Place {
  const { ns, key, parent, options } = request
  const records = new SnapshotRecords(ns, context.name)
  const taken = [target ?? '', key].find(
    name => name !== '' && context.metadata.read(tx => records.find(tx, name)) !== undefined,
  )
  if (taken !== undefined) {
    context.metadata.write(tx => addToLease(tx, ns, options.lease, snapshotResource(context.name, taken)))
    throw alreadyExists(taken === target ? `target snapshot "${taken}"` : `snapshot "${taken}"`)
  }
  const backendParent = context.metadata.read(tx => {
    // Before the backend does work that would have to be undone.
    requireLease(tx, ns, options.lease)
    return parent === '' ? '' : records.requireParent(tx, parent).backendKey
  })
  const sequence = context.metadata.nextSequence()
  return { sequence, backendKey: `${ns}/${sequence}/${key}`, backendParent }
}

function make(
  backend: SnapshotterBackend,
  { kind, options }: CreateRequest,
  { backendKey, backendParent }: Place,
  labels: StringMap,
): Promise<Mount[]> {
  const verb = kind === 'view' ? backend.view : backend.prepare
  return verb.call(backend, backendKey, backendParent, visibleToBackend(labels), options.signal)
}

async function recordOrUndo(
  context: FrontContext,
  backend: SnapshotterBackend,
  { kind, ns, key, parent, options }: CreateRequest,
  { sequence, backendKey, backendParent }: Place,
  labels: StringMap,
): Promise<void> {
  const at = now()
  const record: SnapshotRecord = { sequence, backendKey, kind, parent, createdAt: at, updatedAt: at, labels }
  const records = new SnapshotRecords(ns, context.name)
  try {
    context.metadata.write(tx => {
      addToLease(tx, ns, options.lease, snapshotResource(context.name, key))
      if (records.find(tx, key) !== undefined) throw alreadyExists(`snapshot "${key}"`)
      // The parent may have been removed, and even made anew, while the backend worked.
      if (parent !== '' && records.requireParent(tx, parent).backendKey !== backendParent)
        throw notFound(`parent snapshot ${parent} does not exist`)
      records.put(tx, key, record)
    })
  } catch (error) {
    await backend.remove(backendKey).catch((failed: unknown) => {
      context.markDirty()
      context.logger.warn({ err: failed, key: backendKey }, 'an unrecorded snapshot stays until the next sweep')
    })
    throw error
  }
}

/** A remote snapshotter says it has the layer asked for: record that, and tell the caller. Never returns. */
async function takeProvided(
  context: FrontContext,
  backend: SnapshotterBackend,
  { ns, parent, options }: CreateRequest,
  { sequence, backendParent }: Place,
  labels: StringMap,
  cause: unknown,
): Promise<never> {
  const target = labels[snapshotRefLabel]
  if (target === undefined) throw unknown(`unexpected error from snapshotter: ${messageOf(cause)}`, { cause })
  const { name, createdAt, updatedAt, labels: own } = await findProvided(backend, target, backendParent)
  const records = new SnapshotRecords(ns, context.name)
  context.metadata.write(tx => {
    addToLease(tx, ns, options.lease, snapshotResource(context.name, target))
    if (records.find(tx, target) !== undefined) return
    if (parent !== '') records.requireParent(tx, parent)
    const merged = withoutEmpty({ ...own, ...labels })
    records.put(tx, target, {
      sequence,
      backendKey: name,
      kind: 'committed',
      parent,
      createdAt,
      updatedAt,
      labels: merged,
    })
  })
  throw alreadyExists(`target snapshot "${target}" from snapshotter`)
}

/** Not every backend honours the filter, so each answer is checked. */
async function findProvided(backend: SnapshotterBackend, target: string, parent: string): Promise<SnapshotInfo> {
  const filter = `labels.${JSON.stringify(snapshotRefLabel)}==${JSON.stringify(target)},parent==${JSON.stringify(parent)}`
  for await (const info of backend.list([filter]))
    if (info.kind === 'committed' && info.labels[snapshotRefLabel] === target && info.parent === parent) return info
  throw notFound(`target snapshot "${target}" in backend`)
}

/**
 * What containerd's rules keep of a store, worked out over its public services alone: everything is listed, and rules
 * are applied until nothing more is kept. Shares no line with core/gc.
 */
import { ContainersDefinition } from '#api/gen/containerd/services/containers/v1/containers.ts'
import { ContentDefinition } from '#api/gen/containerd/services/content/v1/content.ts'
import { ImagesDefinition } from '#api/gen/containerd/services/images/v1/images.ts'
import { LeasesDefinition } from '#api/gen/containerd/services/leases/v1/leases.ts'
import { NamespacesDefinition } from '#api/gen/containerd/services/namespaces/v1/namespaces.ts'
import { SnapshotsDefinition } from '#api/gen/containerd/services/snapshots/v1/snapshots.ts'
import { type Channel, createClient } from '#api/rpc/client.ts'

/** An object as listed. `id` is `<kind> <namespace> <key>`. */
interface Listed {
  readonly id: string
  readonly kind: string
  readonly ns: string
  readonly key: string
  readonly labels: Readonly<Record<string, string>>
  readonly bytes: number
  /** Ids it keeps by what it is, labels apart. */
  readonly keeps: readonly string[]
}

export interface Holding {
  /** `lease → resource ids` */
  readonly lease: string
  readonly resources: readonly string[]
}

export interface Listing {
  readonly objects: ReadonlyMap<string, Listed>
  readonly holdings: readonly Holding[]
}

const idOf = (kind: string, ns: string, key: string) => `${kind} ${ns} ${key}`

/** Lists a whole store. */
export async function listAll(channel: Channel, snapshotters: readonly string[]): Promise<Listing> {
  const { namespaces } = await createClient(NamespacesDefinition, channel).list({})
  const found: Listed[] = []
  const holdings: Holding[] = []
  for (const { name: ns } of namespaces) {
    const at = { namespace: ns }
    const add = (kind: string, key: string, rest: Partial<Listed>) =>
      found.push({ id: idOf(kind, ns, key), kind, ns, key, labels: {}, bytes: 0, keeps: [], ...rest })
    for (const { name, labels, target } of (await createClient(ImagesDefinition, channel).list({}, at)).images)
      add('image', name, { labels, keeps: [idOf('content', ns, target?.digest ?? '')] })
    for (const container of (await createClient(ContainersDefinition, channel).list({}, at)).containers) {
      const { id, labels, snapshotter, snapshotKey } = container
      add('container', id, {
        labels,
        keeps: snapshotter ? [idOf('snapshot', ns, `${snapshotter}/${snapshotKey}`)] : [],
      })
    }
    const content = createClient(ContentDefinition, channel)
    for await (const { info } of content.list({}, at))
      for (const { digest, size, labels } of info) add('content', digest, { labels, bytes: Number(size) })
    for (const { ref, offset } of (await content.listStatuses({}, at)).statuses)
      add('ingest', ref, { bytes: Number(offset) })
    for (const snapshotter of snapshotters) await listSnapshots(channel, ns, snapshotter, add)
    const leases = createClient(LeasesDefinition, channel)
    for (const { id, labels } of (await leases.list({}, at)).leases) {
      add('lease', id, { labels })
      const { resources } = await leases.listResources({ id }, at)
      holdings.push({
        lease: idOf('lease', ns, id),
        resources: resources.map(({ type, id }) => resourceId(ns, type, id)),
      })
    }
  }
  return { objects: new Map(found.map(object => [object.id, object])), holdings }
}

async function listSnapshots(
  channel: Channel,
  ns: string,
  snapshotter: string,
  add: (kind: string, key: string, rest: Partial<Listed>) => void,
): Promise<void> {
  const snapshots = createClient(SnapshotsDefinition, channel)
  for await (const { info } of snapshots.list({ snapshotter }, { namespace: ns }))
    for (const { name, parent, labels } of info) {
      const { size } = await snapshots.usage({ snapshotter, key: name }, { namespace: ns })
      const keeps = parent === '' ? [] : [idOf('snapshot', ns, `${snapshotter}/${parent}`)]
      add('snapshot', `${snapshotter}/${name}`, { labels, bytes: Number(size), keeps })
    }
}

function resourceId(ns: string, type: string, id: string): string {
  if (type.startsWith('snapshots/')) return idOf('snapshot', ns, `${type.slice('snapshots/'.length)}/${id}`)
  return idOf({ content: 'content', ingests: 'ingest', images: 'image' }[type] ?? type, ns, id)
}

/** Ids kept. `looseIngests`: begun without a lease, so kept for a day. */
export function keptOf({ objects, holdings }: Listing, looseIngests: ReadonlySet<string>): Set<string> {
  const now = Date.now()
  const expired = ({ labels }: Listed) => Date.parse(labels['containerd.io/gc.expire'] ?? '') < now
  const whole = new Set<string>()
  const bare = new Set<string>()
  for (const object of objects.values()) {
    const { id, kind, labels } = object
    const rooted =
      (kind === 'content' || kind === 'snapshot') &&
      Object.keys(labels).some(l => l.startsWith('containerd.io/gc.root'))
    if (kind === 'container' || rooted || looseIngests.has(id)) whole.add(id)
    if ((kind === 'image' || kind === 'lease') && !expired(object)) whole.add(id)
  }
  for (const { lease, resources } of holdings)
    if (whole.has(lease))
      for (const id of resources)
        (objects.get(lease)?.labels['containerd.io/gc.flat'] === undefined ? whole : bare).add(id)
  for (let before = -1; before !== whole.size + bare.size; ) {
    before = whole.size + bare.size
    for (const object of objects.values()) {
      if (whole.has(object.id)) for (const id of [...object.keeps, ...forward(object)]) whole.add(id)
      else if (bare.has(object.id)) for (const id of object.keeps) bare.add(id)
      if (backward(object).some(id => whole.has(id))) whole.add(object.id)
    }
  }
  return new Set([...whole, ...bare])
}

const forward = (object: Listed) =>
  labelled(object, /^containerd\.io\/gc\.ref\.(content|image)(?:[./].*)?$/, 'containerd.io/gc.ref.snapshot.')
const backward = (object: Listed) =>
  labelled(
    object,
    /^containerd\.io\/gc\.bref\.(content|image|container)(?:[./].*)?$/,
    'containerd.io/gc.bref.snapshot.',
  )

function labelled({ ns, labels }: Listed, plain: RegExp, ofSnapshot: string): string[] {
  return Object.entries(labels).flatMap(([label, value]) => {
    const kind = plain.exec(label)?.[1]
    if (kind !== undefined) return [idOf(kind, ns, value)]
    if (!label.startsWith(ofSnapshot)) return []
    return [idOf('snapshot', ns, `${label.slice(ofSnapshot.length).split('/')[0]}/${value}`)]
  })
}

/** Bytes on disk of a set of objects: a blob counts once for all namespaces. */
export function bytesOf(listing: Listing, ids: Iterable<string>): number {
  const blobs = new Map<string, number>()
  let sum = 0
  for (const id of ids) {
    const object = listing.objects.get(id)
    if (object?.kind === 'content') blobs.set(object.key, object.bytes)
    else sum += object?.bytes ?? 0
  }
  return sum + [...blobs.values()].reduce((a, b) => a + b, 0)
}

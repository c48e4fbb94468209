/** `snapshots move`: an image's layers, from whichever snapshotters they are unpacked in, into another one. */
import { randomUUID } from 'node:crypto'
import { notFound } from '#api/errors/errors.ts'
import { ContentDefinition } from '#api/gen/containerd/services/content/v1/content.ts'
import { ImagesDefinition } from '#api/gen/containerd/services/images/v1/images.ts'
import { LeasesDefinition } from '#api/gen/containerd/services/leases/v1/leases.ts'
import { snapshotterLabel } from '#api/types/image-labels.ts'
import { imageReference } from '../image-reference.ts'
import { type LocalImage, localImages } from '../local-images.ts'
import type { Session } from '../session.ts'
import { moveLayer } from '../snapshot-copy.ts'

const refPrefix = 'containerd.io/gc.ref.snapshot.'
/** What a killed move leaves half done is held no longer. */
const leaseMs = 3600_000

interface Flags {
  to: string
  keep?: boolean
}

/**
 * Layer by layer, bottom first, each committed before the next: what a kill leaves half done is collected with the lease,
 * and a second call goes on where the first one stopped. The image is switched over at the very end. Containers that
 * use the old snapshots keep them; what nobody uses any more is collected, unless `--keep`.
 */
export async function move(session: Session, { to, keep = false }: Flags, text: string): Promise<void> {
  const name = imageReference(text)
  const images = session.client(ImagesDefinition)
  const { image } = await images.get({ name })
  if (image?.target === undefined) throw notFound(`image "${name}"`)
  const found = await localImages(session, image.target)
  await using lease = await holdLease(session)
  const moved: string[] = []
  for (const local of found) if (await moveImage(session, lease.id, local, { to, keep })) moved.push(local.platform)
  if (moved.length === 0)
    throw notFound(`image "${name}" has no platform whose configuration and layers are here; pull it, then move it`)
  await images.update({
    image: { ...image, labels: { ...image.labels, [snapshotterLabel]: to } },
    updateMask: [`labels.${snapshotterLabel}`],
  })
  if (session.json) console.log(JSON.stringify({ moved: name, snapshotter: to, platforms: moved }))
  else console.log(`${name} ${moved.join(',')}: on ${to}`)
}

/** False for a platform of which nothing is here. */
async function moveImage(
  session: Session,
  lease: string,
  { configDigest, labels, layers, chain, diffIDs }: LocalImage,
  { to, keep }: Required<Flags>,
): Promise<boolean> {
  const sources = Object.keys(labels)
    .filter(key => key.startsWith(refPrefix))
    .map(key => key.slice(refPrefix.length).split('/')[0] ?? '')
    .filter(name => name !== to)
  const top = chain.at(-1)
  if (top === undefined) return true
  for (const [index, chainID] of chain.entries()) {
    const parent = chain[index - 1] ?? ''
    const order = { chainID, parent, layer: layers[index], diffID: diffIDs[index], to, sources, lease }
    if (!(await moveLayer(session, order))) return false
  }
  const changed: Record<string, string> = { [`${refPrefix}${to}`]: top }
  const gone = keep ? [] : sources.map(source => `${refPrefix}${source}`)
  await session.client(ContentDefinition).update({
    info: { digest: configDigest, labels: changed },
    updateMask: [...Object.keys(changed), ...gone].map(key => `labels.${key}`),
  })
  return true
}

/** Its end is a collection of garbage, so that the space is free when the command ends. */
async function holdLease(session: Session): Promise<AsyncDisposable & { id: string }> {
  const leases = session.client(LeasesDefinition)
  const id = `move-${randomUUID()}`
  const labels = { 'containerd.io/gc.expire': new Date(Date.now() + leaseMs).toISOString() }
  await leases.create({ id, labels })
  return { id, [Symbol.asyncDispose]: async () => void (await leases.delete({ id, sync: true })) }
}

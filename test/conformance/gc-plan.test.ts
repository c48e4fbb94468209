/** gc plan and explain against an independent walk (reachability.ts), on stores made by seeded chance. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { isGantryError } from '#api/errors/errors.ts'
import { ContainersDefinition } from '#api/gen/containerd/services/containers/v1/containers.ts'
import { ContentDefinition, WriteAction } from '#api/gen/containerd/services/content/v1/content.ts'
import { ImagesDefinition } from '#api/gen/containerd/services/images/v1/images.ts'
import { LeasesDefinition } from '#api/gen/containerd/services/leases/v1/leases.ts'
import { SnapshotsDefinition } from '#api/gen/containerd/services/snapshots/v1/snapshots.ts'
import { GcServiceDefinition, ObjectType } from '#api/gen/gantry/services/gc/v1/gc.ts'
import { type Channel, createClient } from '#api/rpc/client.ts'
import { sha256Digest } from '#api/types/digest.ts'
import { startCore } from './core-server.ts'
import { bytesOf, keptOf, listAll } from './reachability.ts'

const snapshotter = 'overlayfs'
const tenants = ['one', 'two', 'three']
const past = '2001-01-01T00:00:00Z'
const future = '2999-01-01T00:00:00Z'

/** Park and Miller's generator: the same store for the same seed. */
function chance(seed: number) {
  let state = seed
  const below = (n: number) => {
    state = (state * 48271) % 2147483647
    return state % n
  }
  return { below, oneOf: <T>(from: readonly T[]): T => from[below(from.length)] as T, happens: () => below(3) === 0 }
}

/** Fills a store; answers the ids of ingests begun without a lease. */
async function fill(channel: Channel, seed: number): Promise<Set<string>> {
  const { below, oneOf, happens } = chance(seed)
  const loose = new Set<string>()
  for (const ns of tenants) {
    const leases = await makeLeases(channel, ns)
    const lease = () => (happens() ? { namespace: ns, lease: oneOf(leases) } : { namespace: ns })
    const digests: string[] = []
    const names: string[] = []
    const ids = Array.from({ length: 3 }, (_, n) => `container-${n}`)
    const images = Array.from({ length: 8 }, (_, n) => `image-${n}`)
    const labels = () => {
      const given: Record<string, string> = {}
      for (let i = below(3); i > 0; i--) {
        const way = oneOf(['ref', 'ref', 'bref'])
        const kind = oneOf(
          way === 'bref' ? ['content', 'image', 'container', 'snapshot'] : ['content', 'image', 'snapshot'],
        )
        const of = { content: digests, image: images, container: ids, snapshot: names }[kind] as string[]
        if (of.length === 0) continue
        const label = kind === 'snapshot' ? `snapshot.${snapshotter}` : kind
        given[`containerd.io/gc.${way}.${label}${oneOf(['', '/x', kind === 'snapshot' ? '/y' : '.0'])}`] = oneOf(of)
      }
      if (below(12) === 0) given['containerd.io/gc.root'] = 'now'
      if (below(9) === 0) given['containerd.io/gc.refs.content'] = oneOf([...digests, 'none'])
      return given
    }
    for (let n = 0; n < 25; n++) {
      // Few different texts, so that tenants share blobs.
      const text = `blob ${below(40)}`
      if (digests.includes(sha256Digest(text))) continue
      await write(
        channel,
        { ref: `r${n}`, data: Buffer.from(text), action: WriteAction.COMMIT, labels: labels() },
        lease(),
      )
      digests.push(sha256Digest(text))
    }
    for (let n = 0; n < 4; n++) {
      const at = lease()
      await write(channel, { ref: `unfinished-${n}`, data: Buffer.from('x'.repeat(n)), action: WriteAction.WRITE }, at)
      if (!('lease' in at)) loose.add(`ingest ${ns} unfinished-${n}`)
    }
    await makeSnapshots(channel, {
      names,
      labels,
      lease,
      parent: () => (happens() ? '' : oneOf(['', ...names])),
      commits: happens,
    })
    for (const name of images.slice(0, 6)) {
      const expiry: Record<string, string> = happens()
        ? { 'containerd.io/gc.expire': oneOf([past, future, 'soon']) }
        : {}
      const target = { mediaType: 'm', digest: oneOf(digests), size: 1n }
      await createClient(ImagesDefinition, channel).create(
        { image: { name, target, labels: { ...labels(), ...expiry } } },
        lease(),
      )
    }
    for (const id of ids.slice(0, 2)) {
      const spec = { typeUrl: 't', value: Buffer.from('{}') }
      const container = { id, runtime: { name: 'r' }, spec, snapshotter, snapshotKey: oneOf(names), labels: labels() }
      await createClient(ContainersDefinition, channel).create({ container }, { namespace: ns })
    }
    for (const id of leases) {
      const resource = oneOf([
        { type: 'content', id: oneOf(digests) },
        { type: `snapshots/${snapshotter}`, id: oneOf(names) },
        { type: 'images', id: oneOf(images) },
      ])
      await createClient(LeasesDefinition, channel).addResource({ id, resource }, { namespace: ns })
    }
  }
  return loose
}

async function makeLeases(channel: Channel, ns: string): Promise<string[]> {
  const kinds = {
    plain: {},
    flat: { 'containerd.io/gc.flat': 'true' },
    running: { 'containerd.io/gc.expire': future },
    over: { 'containerd.io/gc.expire': past },
  }
  for (const [id, labels] of Object.entries(kinds))
    await createClient(LeasesDefinition, channel).create({ id, labels }, { namespace: ns })
  return Object.keys(kinds)
}

interface SnapshotWishes {
  names: string[]
  labels(): Record<string, string>
  lease(): { namespace: string }
  parent(): string
  commits(): boolean
}

/** Committed ones with a file in them; then some that stay active. */
async function makeSnapshots(
  channel: Channel,
  { names, labels, lease, parent, commits }: SnapshotWishes,
): Promise<void> {
  const snapshots = createClient(SnapshotsDefinition, channel)
  for (let n = 0; n < 10; n++) {
    const at = lease()
    const key = `key-${n}`
    const { mounts } = await snapshots.prepare({ snapshotter, key, parent: parent(), labels: labels() }, at)
    await writeFile(join(mounts[0]?.source ?? '', `file-${n}`), 'y'.repeat(10 + n))
    await snapshots.commit({ snapshotter, key, name: `layer-${n}`, labels: labels() }, at)
    names.push(`layer-${n}`)
  }
  for (let n = 0; n < 4; n++) {
    const verb = commits() ? snapshots.view : snapshots.prepare
    await verb({ snapshotter, key: `active-${n}`, parent: parent(), labels: labels() }, lease())
  }
  names.push('active-0', 'active-1', 'active-2', 'active-3')
}

async function write(channel: Channel, request: object, at: { namespace: string }): Promise<void> {
  const requests = (async function* () {
    yield request
  })()
  for await (const _ of createClient(ContentDefinition, channel).write(requests, at));
}

const typeNames = new Map<number, string>(
  Object.entries(ObjectType).map(([name, type]) => [type, name.replace('OBJECT_TYPE_', '').toLowerCase()]),
)

async function plan(channel: Channel) {
  const ids: string[] = []
  let totalBytes = 0n
  let sum = 0n
  for await (const block of createClient(GcServiceDefinition, channel).plan({})) {
    for (const { object, sizeBytes, sizeUnknown } of block.removals) {
      assert.equal(sizeUnknown, false)
      ids.push(`${typeNames.get(object?.type ?? 0)} ${object?.namespace} ${object?.key}`)
      sum += sizeBytes
    }
    totalBytes += block.totalBytes
  }
  assert.equal(sum, totalBytes)
  return { ids: ids.toSorted(), totalBytes: Number(totalBytes) }
}

for (const seed of [1, 20261121, 77, 4242])
  test(`seed ${seed}: the plan is what an independent walk finds, and what the sweep then frees`, async () => {
    await using core = await startCore()
    const { channel } = core
    const loose = await fill(channel, seed)
    const before = await listAll(channel, [snapshotter])
    const kept = keptOf(before, loose)
    const going = [...before.objects.keys()].filter(id => !kept.has(id)).toSorted()
    assert.ok(
      going.length > 15 && going.length < before.objects.size - 15,
      `${going.length} of ${before.objects.size} go`,
    )

    const planned = await plan(channel)
    assert.deepEqual(planned.ids, going)
    const staying = [...before.objects.keys()].filter(id => kept.has(id))
    assert.equal(planned.totalBytes, bytesOf(before, before.objects.keys()) - bytesOf(before, staying))

    const gc = createClient(GcServiceDefinition, channel)
    for (const { id, kind, ns, key } of before.objects.values()) {
      const type = [...typeNames].find(([, name]) => name === kind)?.[0] as ObjectType
      const { explanations } = await gc.explain({ ref: key, type }, { namespace: ns })
      assert.equal(explanations.length, 1, id)
      const chain = explanations[0]?.chain ?? []
      assert.equal(chain.length > 0, kept.has(id), id)
      for (const { object } of chain) {
        const step = `${typeNames.get(object?.type ?? 0)} ${object?.namespace} ${object?.key}`
        assert.ok(kept.has(step), `${id} is said to be kept by ${step}`)
      }
    }

    const { removed } = await gc.collect({})
    assert.equal(removed, going.length)
    const after = await listAll(channel, [snapshotter])
    assert.deepEqual([...after.objects.keys()].toSorted(), staying.toSorted())
    assert.equal(bytesOf(before, before.objects.keys()) - bytesOf(after, after.objects.keys()), planned.totalBytes)
    assert.deepEqual(await plan(channel), { ids: [], totalBytes: 0 })
  })

test('what was deleted by hand and not swept yet is in the plan too', async () => {
  await using core = await startCore()
  const { channel } = core
  const at = { namespace: 'n' }
  await write(channel, { ref: 'r', data: Buffer.from('12345'), action: WriteAction.COMMIT }, at)
  const snapshots = createClient(SnapshotsDefinition, channel)
  const { mounts } = await snapshots.prepare({ snapshotter, key: 'k' }, at)
  await writeFile(join(mounts[0]?.source ?? '', 'f'), '123')
  await snapshots.remove({ snapshotter, key: 'k' }, at)
  await createClient(ContentDefinition, channel).delete({ digest: sha256Digest('12345') }, at)
  assert.equal((await plan(channel)).totalBytes, 8)
  await createClient(GcServiceDefinition, channel).collect({})
  assert.equal((await plan(channel)).totalBytes, 0)
})

test('explain of something unknown', async () => {
  await using core = await startCore()
  const explaining = createClient(GcServiceDefinition, core.channel).explain({ ref: 'none' }, { namespace: 'n' })
  await assert.rejects(explaining, error => isGantryError(error, 'NOT_FOUND'))
})

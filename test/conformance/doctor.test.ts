/** gctr doctor against a running gantryd: each kind of damage is done behind its back, found, and mended where that is safe. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { SnapshotsDefinition } from '#api/gen/containerd/services/snapshots/v1/snapshots.ts'
import { DoctorServiceDefinition, type Finding, Severity } from '#api/gen/gantry/services/doctor/v1/doctor.ts'
import { type Channel, connect, createClient } from '#api/rpc/client.ts'
import { type Key, openStore, type Store } from '#api/store/store.ts'
import { createNetns, mount } from '#api/sys/sys.ts'
import { digestHex, sha256Digest } from '#api/types/digest.ts'
import type { BlobRecord, SnapshotRecord } from '#core/metadata/metadata.ts'
import { Daemon } from '../daemon/daemon.ts'

const unprivileged = process.getuid?.() !== 0 && 'needs root'
const running = 'runs'
let daemon: Daemon
let store: Store
let channel: Channel

before(async () => {
  if (unprivileged) return
  daemon = await Daemon.start()
  const image = await daemon.importBusybox()
  const { code, stderr } = await daemon.run('run', '-d', '--name', running, image, 'sleep', '1000')
  assert.equal(code, 0, stderr)
  // A second process on the same store, as a damaged disk or a bug would be.
  store = openStore(join(daemon.root, 'metadata'))
  channel = connect(daemon.address)
})

after(async () => {
  channel?.close()
  await store?.close()
  await daemon?.[Symbol.asyncDispose]()
})

/** As gctr does it, without its start. */
async function examine(...flags: string[]): Promise<{ code: number; findings: Finding[] }> {
  const findings: Finding[] = []
  let left = -1
  const wishes = { deep: flags.includes('--deep'), repair: flags.includes('--repair') }
  for await (const { finding, summary } of createClient(DoctorServiceDefinition, channel).examine(wishes)) {
    if (finding !== undefined) findings.push(finding)
    if (summary !== undefined) left = summary.damage
  }
  return { code: left === 0 ? 0 : 1, findings }
}

const damage = (findings: Finding[]) => findings.filter(({ severity }) => severity === Severity.SEVERITY_DAMAGE)

async function expectClean(): Promise<void> {
  const { code, findings } = await examine('--deep')
  assert.deepEqual([code, damage(findings)], [0, []])
}

/** Exactly one finding that fits, and an exit code that says so. */
async function expectFound(object: RegExp, problem: RegExp, ...flags: string[]): Promise<Finding> {
  const { code, findings } = await examine(...flags)
  const found = damage(findings).filter(finding => object.test(finding.object) && problem.test(finding.problem))
  assert.equal(found.length, 1, JSON.stringify(findings, null, 2))
  assert.equal(code, 1)
  return found[0] as Finding
}

async function expectRepaired(...flags: string[]): Promise<void> {
  const { code, findings } = await examine('--repair', ...flags)
  assert.deepEqual([code, damage(findings).filter(({ repaired }) => !repaired)], [0, []])
  await expectClean()
}

function keyOf<T>(kind: string, fits: (value: T, key: Key) => boolean): Key {
  const found = store.read(tx => [...tx.list<T>(['in', 'default', kind])].find(({ key, value }) => fits(value, key)))
  assert.ok(found, kind)
  return found.key
}

function change<T extends object>(key: Key, values: Partial<T>): () => void {
  const before = store.read(tx => tx.get<T>(key))
  store.write(tx => tx.put(key, { ...before, ...values }))
  return () => store.write(tx => tx.put(key, before))
}

/** A blob of its own, kept by a lease-free root label, so that losing it harms no image. */
async function ingest(text: string): Promise<{ path: string; digest: string; key: Key }> {
  const file = join(daemon.folder, 'blob')
  await writeFile(file, text)
  const hex = digestHex(sha256Digest(text))
  const at = { seconds: 1n, nanos: 0 }
  const record: BlobRecord = {
    sizeBytes: text.length,
    createdAt: at,
    updatedAt: at,
    labels: { 'containerd.io/gc.root': 'test' },
  }
  const key = ['in', 'default', 'blobs', `sha256:${hex}`]
  await rename(file, join(daemon.root, 'content/blobs/sha256', hex))
  store.write(tx => tx.put(key, record))
  return { path: join(daemon.root, 'content/blobs/sha256', hex), digest: `sha256:${hex}`, key }
}

const options = { skip: unprivileged }

test('gctr doctor: one line when clean, a line for each finding, and JSON', options, async () => {
  const clean = await daemon.run('doctor', '--deep')
  assert.match(clean.stdout, /^clean; \d+ things examined\n$/)
  assert.equal(clean.code, 0)
  const { path } = await ingest('to be lost')
  await rm(path)
  const damaged = await daemon.run('doctor')
  assert.equal(damaged.code, 1)
  assert.match(
    damaged.stdout,
    /^damage {3}blob default\/sha256:[0-9a-f]{64} has no file: repair drops .*\n1 damaged; \d+ things/,
  )
  const repaired = await daemon.run('--format', 'json', 'doctor', '--repair')
  const { findings, damage, repaired: count } = JSON.parse(repaired.stdout)
  assert.deepEqual([repaired.code, findings.length, findings[0].severity, damage, count], [0, 1, 'damage', 0, 1])
  await expectClean()
})

test('a blob without its file, one cut short, one with other bytes', options, async () => {
  const gone = await ingest('gone')
  await rm(gone.path)
  await expectFound(new RegExp(gone.digest), /has no file/)
  await expectRepaired()
  const cut = await ingest('cut short')
  await writeFile(cut.path, 'cut')
  await expectFound(new RegExp(cut.digest), /is recorded with 9 bytes, its file has 3/)
  await expectRepaired()
  assert.ok(!existsSync(cut.path))
  const flipped = await ingest('flipped')
  await writeFile(flipped.path, 'flopped')
  assert.equal((await examine()).code, 0)
  await expectFound(new RegExp(flipped.digest), /has a file with the digest sha256:/, '--deep')
  await expectRepaired('--deep')
})

test('a blob file and an ingest folder without a record', options, async () => {
  await writeFile(join(daemon.root, 'content/blobs/sha256', 'ab'.repeat(32)), 'stray')
  await expectFound(/blob file sha256:abab/, /has no record/)
  await mkdir(join(daemon.root, 'content/ingest', 'cd'.repeat(32)))
  await expectFound(/ingest folder cdcd/, /has no record/)
  await expectRepaired()
})

test('an ill-formed record, and one of no kind, are told and left', options, async () => {
  const undo = change(['in', 'default', 'images', 'test.example/busybox:1'], { target: undefined })
  await expectFound(/images\/test\.example\/busybox:1/, /is malformed: target/)
  undo()
  store.write(tx => tx.put(['in', 'default', 'gadgets', 'g'], { a: 1 }))
  await expectFound(/gadgets/, /is of no kind/)
  store.write(tx => tx.delete(['in', 'default', 'gadgets', 'g']))
  await expectClean()
})

test('objects of a namespace that has no record', options, async () => {
  store.write(tx => tx.put(['in', 'lost', 'leases', 'l'], { createdAt: { seconds: 1n, nanos: 0 }, labels: {} }))
  await expectFound(/namespace lost/, /has objects but no record/)
  await expectRepaired()
  assert.deepEqual((await daemon.run('-n', 'lost', 'leases', 'rm', 'l')).code, 0)
})

test('a hold of a lease that is gone is dropped; one on an object that is gone is a note', options, async () => {
  store.write(tx => tx.put(['in', 'default', 'lease-resources', 'gone', 'images', 'i'], true))
  await expectFound(/lease default\/gone/, /is held by a lease that is gone/)
  await expectRepaired()
  await daemon.run('leases', 'create', '--id', 'holder')
  store.write(tx => tx.put(['in', 'default', 'lease-resources', 'holder', 'images', 'none'], true))
  const { code, findings } = await examine()
  assert.deepEqual(
    [code, findings.map(({ severity, object }) => [severity, object])],
    [0, [[Severity.SEVERITY_NOTE, 'lease default/holder: images none']]],
  )
  await daemon.run('leases', 'rm', 'holder')
})

test('snapshots: the children index, a lost parent, a backend that knows better', options, async () => {
  const child = keyOf<SnapshotRecord>('snapshots', ({ parent }) => parent !== '')
  const index = keyOf('snapshot-children', () => true)
  store.write(tx => tx.delete(index))
  await expectFound(/^snapshot default\/overlayfs/, /is missing in the index/)
  await expectRepaired()
  const nobody = [...index.slice(0, -1), 'nobody']
  store.write(tx => tx.put(nobody, true))
  await expectFound(/children index/, /names a child that is none/)
  await expectRepaired()
  let undo = change<SnapshotRecord>(child, { parent: 'sha256:none' })
  await expectFound(/^snapshot/, /has no parent sha256:none/)
  undo()
  undo = change<SnapshotRecord>(child, { backendKey: 'default/9999/none' })
  await expectFound(/^snapshot default/, /is not in the snapshotter/)
  undo()
  undo = change<SnapshotRecord>(child, { kind: 'view' })
  await expectFound(/^snapshot default/, /is view here and active in the snapshotter/)
  undo()
  await expectClean()
})

test('a snapshot of the backend without a record', options, async () => {
  const snapshots = createClient(SnapshotsDefinition, channel)
  const labels = { 'containerd.io/gc.root': 'test' }
  await snapshots.prepare({ snapshotter: 'overlayfs', key: 'second', labels }, { namespace: 'default' })
  store.write(tx => tx.delete(['in', 'default', 'snapshots', 'overlayfs', 'second']))
  await expectFound(/^snapshot overlayfs: default\//, /has no record/)
  await expectRepaired()
})

test("a folder, a network namespace, an attachment, a bundle and a mount that are nobody's", options, async () => {
  const folder = join(daemon.root, 'containers/default/gone')
  await mkdir(folder, { recursive: true })
  await expectFound(/containers\/default\/gone/, /belongs to no container/)
  const pin = join(daemon.state, 'netns/default/gone')
  await createNetns(pin)
  await expectFound(/netns\/default\/gone/, /belongs to a container that does not run/)
  const work = join(daemon.root, 'io.containerd.runtime.v2.task/default/gone')
  await mkdir(work, { recursive: true })
  await expectFound(/work folder/, /belongs to no task/)
  const rootfs = join(daemon.state, 'io.containerd.runtime.v2.task/default/gone/rootfs')
  await mkdir(rootfs, { recursive: true })
  await mount([{ type: 'tmpfs', source: 'tmpfs', target: '', options: [] }], rootfs)
  await expectFound(/^mount .*gone\/rootfs/, /belongs to a task that is gone/)
  const bundle = await expectFound(/^bundle .*gone$/, /belongs to no task/)
  assert.equal(bundle.repairable, false)
  await examine('--repair')
  assert.ok(!(await readFile('/proc/self/mountinfo', 'utf8')).includes(rootfs))
  assert.ok(![folder, pin, work].some(path => existsSync(path)))
  await rm(join(rootfs, '..'), { recursive: true })
  const attachment = store.read(tx => [...tx.list<{ containerId: string }>(['networks', 'attachment'])][0])
  assert.ok(attachment)
  const [a, b, ns, , name] = attachment.key as string[]
  const ghost = [a, b, ns, 'ghost', name] as string[]
  store.write(tx => tx.put(ghost, { ...attachment.value, containerId: 'ghost' }))
  await expectFound(/^attachment default\/ghost/, /belongs to a container that does not run/)
  await expectRepaired()
})

test('a running container whose snapshot record is gone', options, async () => {
  const key = keyOf<SnapshotRecord>('snapshots', ({ parent }) => parent !== '')
  const value = store.read(tx => tx.get(key))
  store.write(tx => tx.delete(key))
  await expectFound(/^container default\//, /has no snapshot/)
  const stray = await expectFound(
    /^snapshot overlayfs: default\//,
    /has no record, but container default\/runs uses it/,
  )
  assert.equal(stray.repairable, false)
  store.write(tx => tx.put(key, value))
  await expectClean()
})

/** Other people's snapshotters under us: Debian's containerd over its own socket, and a remote one in Python. */
import assert from 'node:assert/strict'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { SnapshotsDefinition } from '#api/gen/containerd/services/snapshots/v1/snapshots.ts'
import { connect, createClient } from '#api/rpc/client.ts'
import { chainIDs, parseDigest } from '#api/types/digest.ts'
import { Daemon } from '../daemon/daemon.ts'
import { runCommand } from '../daemon/run-command.ts'
import { busyboxLayer, makeTar } from '../fixtures/make-image.ts'
import { putImage } from '../registry/put-image.ts'
import { startRegistry } from '../registry/registry.ts'
import { eventually, type Try, trying } from './container-verbs.ts'
import { Ctr, debian, lacking } from './ctr.ts'
import { DebianContainerd } from './debian-containerd.ts'
import { PythonSnapshotter, pythonFiles } from './foreign/python-snapshotter.ts'
import { loadImage, testImage } from './load-image.ts'
import { Scoreboard } from './scoreboard.ts'

const repo = join(import.meta.dirname, '../..')
const table = (name: string, address: string) =>
  `[plugins.snapshotters.${name}]\naddress = ${JSON.stringify(address)}\n`

test('a containerd’s own snapshotter serves us', { skip: lacking(debian.ctr, debian.containerd) }, async t => {
  using board = new Scoreboard()
  await using containerd = await DebianContainerd.start()
  // Theirs is asked for by the name it has there.
  await using daemon = await Daemon.start({ config: table('native', containerd.address) })
  await using ctr = new Ctr(daemon.address, daemon.folder)
  const trees = join(containerd.folder, 'root/io.containerd.snapshotter.v1.native/snapshots')
  const verb = trying(t, board, 'containerd’s native snapshotter under us')
  await snapshotterVerbs(verb, { ctr, folder: daemon.folder, name: 'native', trees })
})

test('a snapshotter in Python serves us', { skip: lacking(debian.ctr, ...pythonFiles) }, async t => {
  using board = new Scoreboard()
  await using python = await PythonSnapshotter.start()
  await using daemon = await Daemon.start({ config: table('python', python.address) })
  await using ctr = new Ctr(daemon.address, daemon.folder)
  const verb = trying(t, board, 'Python snapshotter under us')
  await snapshotterVerbs(verb, { ctr, folder: daemon.folder, name: 'python', trees: python.root })
})

interface World {
  ctr: Ctr
  folder: string
  name: string
  /** Where it keeps a folder per snapshot. */
  trees: string
}

async function snapshotterVerbs(verb: Try, { ctr, folder, name, trees }: World): Promise<void> {
  const here = ['--snapshotter', name]
  const keys = async () =>
    (await ctr.ok('snapshots', ...here, 'ls'))
      .trim()
      .split('\n')
      .slice(1)
      .map(row => row.split(/\s+/)[0] ?? '')
  const run = (...rest: string[]) =>
    ctr.ok('run', '--fifo-dir', ctr.fifos, '--runtime', 'io.containerd.gantry.v1', ...here, ...rest)
  let image = ''
  await verb('images import', async () => {
    image = await loadImage(ctr, folder, here)
    assert.equal((await keys()).length, 2)
    assert.equal((await readdir(trees)).length, 2)
  })
  await verb('run --rm', async () => assert.equal(await run('--rm', image, 'c1', 'cat', '/etc/motd'), 'hi\n'))
  await verb('run -d, a container writes', async () => {
    await run('-d', '--null-io', image, 'c2', 'sh', '-c', 'echo written > /kept; rm /etc/motd')
    await eventually(async () => assert.match(await ctr.ok('tasks', 'ls'), /^c2\s+\d+\s+STOPPED/m))
    await ctr.ok('tasks', 'rm', 'c2')
  })
  await verb('snapshots info, label, usage, tree, mounts', async () => {
    assert.match(await ctr.ok('snapshots', ...here, 'info', 'c2'), /"Kind": "Active"/)
    await ctr.ok('snapshots', ...here, 'label', 'c2', 'a=b')
    assert.match(await ctr.ok('snapshots', ...here, 'info', 'c2'), /"a": "b"/)
    assert.doesNotMatch(await ctr.ok('snapshots', ...here, 'info', 'c2'), /gc\.root.*gantry/)
    await ctr.ok('snapshots', ...here, 'usage', 'c2')
    assert.match(await ctr.ok('snapshots', ...here, 'tree'), /\\_ c2/)
    assert.match(await ctr.ok('snapshots', ...here, 'mounts', '/t', 'c2'), /bind/)
  })
  await verb('snapshots diff', async () => {
    const file = join(folder, 'diff.tar')
    const flags = ['--media-type', 'application/vnd.oci.image.layer.v1.tar']
    await writeFile(file, await ctr.ok('snapshots', ...here, 'diff', ...flags, 'c2'))
    const { stdout } = await runCommand(['tar', '-tf', file])
    assert.match(stdout, /kept/)
    assert.match(stdout, /etc\/\.wh\.motd/)
  })
  await verb('snapshots commit, view, rm', async () => {
    await ctr.ok('snapshots', ...here, 'commit', 'layer', 'c2')
    await ctr.ok('snapshots', ...here, 'view', 'look', 'layer')
    assert.match((await ctr.outcome(['snapshots', ...here, 'rm', 'layer'])).stderr, /cannot remove snapshot with child/)
    for (const key of ['look', 'layer']) await ctr.ok('snapshots', ...here, 'rm', key)
    await ctr.ok('containers', 'rm', 'c2')
    assert.equal((await keys()).length, 2)
  })
  await verb('a collection leaves what is used', async () => {
    await ctr.ok('leases', 'create', '--id', 'sweep')
    await ctr.ok('leases', 'rm', '--sync', 'sweep')
    assert.equal(await run('--rm', image, 'c3', 'cat', '/etc/motd'), 'hi\n')
  })
  await verb('images rm: collected until nothing is left', async () => {
    await ctr.ok('images', 'rm', '--sync', image)
    assert.deepEqual(
      (await keys()).filter(key => key !== ''),
      [],
    )
    await eventually(async () => assert.deepEqual(await readdir(trees), []))
  })
}

test('a remote snapshotter’s layers are not downloaded', {
  skip: lacking(...pythonFiles, '/usr/bin/docker-registry'),
}, async t => {
  using board = new Scoreboard()
  const image = testImage()
  const chain = chainIDs(image.layers.map(layer => parseDigest(layer.diffID)))
  const folder = join(repo, 'build', `remote-layers-${process.pid}`)
  await using layers = new AsyncDisposableStack()
  layers.defer(() => rm(folder, { recursive: true, force: true }))
  await unpackLower(folder)
  await using registry = await startRegistry()
  await putImage(registry.host, 'remote/busybox', '1', image)
  const name = `${registry.host}/remote/busybox:1`
  await using python = await PythonSnapshotter.start({ [chain[0] ?? '']: folder })
  await using daemon = await Daemon.start({ config: table('python', python.address) })
  const verb = trying(t, board, 'remote snapshotter under us')
  const blobs = async () => (await daemon.run('content', 'ls', '-q')).stdout.trim().split('\n').sort()

  await verb('gctr images pull (Transfer)', async () => {
    const { code, stderr } = await daemon.run('images', 'pull', '--plain-http', '--snapshotter', 'python', name)
    assert.equal(code, 0, stderr)
    // Manifest, configuration and the layer it had not: the lower layer's blob was never asked for.
    const wanted = image.blobs.map(blob => blob.digest).filter(digest => digest !== image.layers[0]?.digest)
    assert.deepEqual(await blobs(), wanted.sort())
  })
  await verb('what it was told', async () => {
    const prepares = (await python.calls()).filter(call => call.method === 'Prepare')
    const told = prepares.map(({ labels }) => labels)
    assert.deepEqual(
      told.map(labels => labels['containerd.io/snapshot.ref']),
      [...chain],
    )
    assert.equal(told[0]?.['containerd.io/snapshot/cri.image-ref'], name)
    assert.equal(told[0]?.['containerd.io/snapshot/cri.manifest-digest'], image.target.digest)
    assert.equal(told[0]?.['containerd.io/snapshot/cri.layer-digest'], image.layers[0]?.digest)
    assert.equal(
      told[0]?.['containerd.io/snapshot/cri.image-layers'],
      image.layers.map(layer => layer.digest).join(','),
    )
  })
  await verb('a container on it', async () => {
    const { code, stdout, stderr } = await daemon.run(
      'run',
      '--rm',
      '--snapshotter',
      'python',
      name,
      'cat',
      '/etc/motd',
      '/etc/passwd',
    )
    assert.equal(code, 0, stderr)
    assert.match(stdout, /^hi\nroot:/)
  })
  await verb('a client’s own Prepare: ALREADY_EXISTS, then Stat', async () => {
    using channel = connect(daemon.address, { namespace: 'other' })
    const snapshots = createClient(SnapshotsDefinition, channel)
    const labels = { 'containerd.io/snapshot.ref': chain[0] ?? '' }
    const ask = { snapshotter: 'python', key: 'extract-1', parent: '', labels }
    await assert.rejects(snapshots.prepare(ask), { code: 'ALREADY_EXISTS' })
    const { info } = await snapshots.stat({ snapshotter: 'python', key: chain[0] ?? '' })
    assert.equal(info?.parent, '')
    await assert.rejects(snapshots.stat({ snapshotter: 'python', key: 'extract-1' }), { code: 'NOT_FOUND' })
    await snapshots.remove({ snapshotter: 'python', key: chain[0] ?? '' })
  })
  await verb('images rm: it is told to let go', async () => {
    const { code, stderr } = await daemon.run('images', 'rm', name)
    assert.equal(code, 0, stderr)
    await eventually(async () => assert.deepEqual(await readdir(python.root), []))
  })
})

/** The lower layer's tree, as a remote snapshotter would have it. */
async function unpackLower(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  await writeFile(`${folder}.tar`, makeTar(busyboxLayer()))
  await runCommand(['tar', '-C', folder, '-xf', `${folder}.tar`])
  await rm(`${folder}.tar`)
}

/** Images and containers on snapshotters of their choice, and moved from one to another. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { DiffDefinition } from '#api/gen/containerd/services/diff/v1/diff.ts'
import { SnapshotsDefinition } from '#api/gen/containerd/services/snapshots/v1/snapshots.ts'
import { connect, createClient } from '#api/rpc/client.ts'
import { Daemon } from '../daemon/daemon.ts'
import { patience } from '../daemon/patience.ts'
import { LoopBtrfs, lackingBtrfs } from '../filesystems/loop-btrfs.ts'
import { busyboxLayer, layoutTar, makeImage } from '../fixtures/make-image.ts'

const skip = await lackingBtrfs()
const name = 'test.example/moving:1'

async function eventually(check: () => Promise<void>): Promise<void> {
  for (const deadline = Date.now() + 20_000 * patience; ; await sleep(100)) {
    const failed = await check().catch((error: unknown) => error)
    if (failed === undefined) return
    if (Date.now() > deadline) throw failed
  }
}

describe('snapshotters', { skip }, () => {
  let fs: LoopBtrfs
  let daemon: Daemon

  before(async () => {
    fs = await LoopBtrfs.make()
    // Its root lies on btrfs, so that all three work.
    daemon = await Daemon.start({ folder: fs.path })
  })
  after(async () => {
    await daemon[Symbol.asyncDispose]()
    await fs[Symbol.asyncDispose]()
  })

  const ok = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await daemon.run(...args)
    assert.equal(code, 0, `gctr ${args.join(' ')}: ${stderr}\n${daemon.log}`)
    return stdout
  }
  const snapshots = async (snapshotter: string): Promise<string[]> =>
    (
      JSON.parse(await ok('--format', 'json', 'snapshots', '--snapshotter', snapshotter, 'ls')) as { name: string }[]
    ).map(info => info.name)
  const stored = (snapshotter: string) =>
    readdir(join(daemon.root, 'plugins', 'snapshotters', snapshotter, 'snapshots')).catch(() => [])
  const importImage = async (...flags: string[]) => {
    const file = join(daemon.folder, 'image.tar')
    const layers = [
      busyboxLayer(),
      [{ path: 'etc/second', content: 'layer two\n' }],
      [{ path: 'etc/third', content: 'layer three\n' }],
    ]
    const image = makeImage({ layers, config: { Cmd: ['sh'], Env: ['PATH=/bin'] } })
    await writeFile(file, layoutTar([{ image, name }]))
    await ok('images', 'import', ...flags, file)
  }

  for (const snapshotter of ['vfs', 'btrfs'])
    test(`an image lives on ${snapshotter}: imported, run, exec, removed`, async () => {
      await importImage('--snapshotter', snapshotter)
      assert.equal((await snapshots(snapshotter)).length, 3)
      assert.deepEqual(await snapshots('overlayfs'), [])
      assert.equal(await ok('run', '--rm', '--net', 'none', name, 'cat', '/etc/third'), 'layer three\n')
      await ok('run', '-d', '--net', 'none', '--name', 'c1', name, 'sleep', '1000')
      assert.equal((await snapshots(snapshotter)).length, 4, 'run without a word goes where the image is')
      assert.equal(
        await ok('tasks', 'exec', 'c1', 'sh', '-c', 'echo x > /made; cat /etc/second /made'),
        'layer two\nx\n',
      )
      await ok('containers', 'rm', '--force', 'c1')
      await ok('images', 'rm', '--sync', name)
      assert.deepEqual(await snapshots(snapshotter), [])
    })

  test('a container may choose another one than its image', async () => {
    await importImage()
    for (const snapshotter of ['vfs', 'btrfs']) {
      const command = ['run', '--rm', '--net', 'none', '--snapshotter', snapshotter, name, 'cat', '/etc/third']
      assert.equal(await ok(...command), 'layer three\n')
      assert.equal((await snapshots(snapshotter)).length, 3)
    }
    await ok('images', 'rm', '--sync', name)
  })

  test('move: the image goes, a running container stays, with and without the blobs', async () => {
    await importImage()
    await ok('run', '-d', '--net', 'none', '--name', 'stays', name, 'sleep', '1000')
    await ok('snapshots', 'move', name, '--to', 'btrfs')
    assert.equal((await snapshots('btrfs')).length, 3)
    assert.equal((await snapshots('overlayfs')).length, 4, 'the container holds its parents')
    assert.equal(await ok('tasks', 'exec', 'stays', 'cat', '/etc/third'), 'layer three\n')
    assert.equal(await ok('run', '--rm', '--net', 'none', name, 'cat', '/etc/second'), 'layer two\n')
    assert.equal((await snapshots('overlayfs')).length, 4, 'what runs now runs on btrfs')
    await ok('containers', 'rm', '--force', 'stays')

    for (const { digest } of JSON.parse(await ok('--format', 'json', 'content', 'ls')) as { digest: string }[])
      if (await isLayer(digest)) await ok('content', 'rm', digest)
    await ok('snapshots', 'move', name, '--to', 'vfs')
    assert.equal((await snapshots('vfs')).length, 3)
    assert.deepEqual(await snapshots('btrfs'), [])
    assert.deepEqual(await snapshots('overlayfs'), [])
    assert.equal(
      await ok('run', '--rm', '--net', 'none', name, 'cat', '/etc/second', '/etc/third'),
      'layer two\nlayer three\n',
    )
    await ok('images', 'rm', '--sync', name)
    for (const snapshotter of ['overlayfs', 'btrfs', 'vfs']) assert.deepEqual(await snapshots(snapshotter), [])
  })

  test('a move that is killed can be called again, and goes on', async () => {
    await importImage()
    for (const afterMs of [400, 900, 1400]) {
      const [file = '', ...args] = daemon.gctr('snapshots', 'move', name, '--to', 'btrfs')
      const child = spawn(file, args, { stdio: 'ignore' })
      const ended = once(child, 'exit')
      await sleep(afterMs)
      child.kill('SIGKILL')
      await ended
    }
    assert.equal(await ok('run', '--rm', '--net', 'none', name, 'cat', '/etc/third'), 'layer three\n')
    await ok('snapshots', 'move', name, '--to', 'btrfs')
    assert.equal(await ok('run', '--rm', '--net', 'none', name, 'cat', '/etc/third'), 'layer three\n')
    assert.deepEqual(await snapshots('overlayfs'), [])
    // What a killed one held goes with its lease: in an hour, or now.
    const leases = JSON.parse(await ok('--format', 'json', 'leases', 'ls')) as { id: string }[]
    for (const { id } of leases) await ok('leases', 'rm', '--sync', id)
    assert.equal((await snapshots('btrfs')).length, 3)
    await ok('images', 'rm', '--sync', name)
    assert.deepEqual(await snapshots('btrfs'), [])
  })

  test('a directory of the image, renamed by a container, is whole in the layer of its changes', async () => {
    await importImage()
    await ok('run', '-d', '--net', 'none', '--name', 'renamer', name, 'sh', '-c', 'mv /etc /moved && sleep 1000')
    await eventually(async () => assert.match(await ok('tasks', 'exec', 'renamer', 'ls', '/'), /moved/))
    using channel = connect(daemon.address, { namespace: 'default' })
    const client = createClient(SnapshotsDefinition, channel)
    const key = (await snapshots('overlayfs')).find(found => found.includes('renamer')) ?? 'renamer'
    const snapshotter = 'overlayfs'
    const { mounts: right } = await client.mounts({ snapshotter, key })
    const { info } = await client.stat({ snapshotter, key })
    const { mounts: left } = await client.view({ snapshotter, key: 'look', parent: info?.parent ?? '' })
    const mediaType = 'application/vnd.oci.image.layer.v1.tar'
    const { diff } = await createClient(DiffDefinition, channel).diff({ left, right, mediaType })
    const { stdout } = await daemon.run('content', 'get', diff?.digest ?? '')
    for (const part of ['moved/second', 'layer two', 'moved/third', 'layer three', '.wh.etc'])
      assert.ok(stdout.includes(part), `${part} is in the layer`)
    await client.remove({ snapshotter, key: 'look' })
    await ok('containers', 'rm', '--force', 'renamer')
    await ok('images', 'rm', '--sync', name)
  })

  test('an image of 140 layers runs on overlayfs', async () => {
    const file = join(daemon.folder, 'tall.tar')
    const tall = 'test.example/tall:1'
    const more = Array.from({ length: 139 }, (_, index) => [{ path: `layer-${index}`, content: `${index}\n` }])
    const image = makeImage({ layers: [busyboxLayer(), ...more], config: { Cmd: ['sh'], Env: ['PATH=/bin'] } })
    await writeFile(file, layoutTar([{ image, name: tall }]))
    await ok('images', 'import', file)
    const script = 'echo x > /layer-0; ls -d /layer-* | wc -l; cat /layer-138'
    assert.equal(await ok('run', '--rm', '--net', 'none', tall, 'sh', '-c', script), '139\n138\n')
    await ok('images', 'rm', '--sync', tall)
    assert.deepEqual(await snapshots('overlayfs'), [])
  })

  /** Anything that is not JSON. */
  async function isLayer(digest: string): Promise<boolean> {
    const { stdout } = await daemon.run('content', 'get', digest)
    return !stdout.startsWith('{')
  }

  test('a snapshotter that cannot work says why, in the command and in the list', async () => {
    await using elsewhere = await Daemon.start()
    const file = join(daemon.folder, 'image.tar')
    const { code, stderr } = await elsewhere.run('images', 'import', '--snapshotter', 'btrfs', file)
    assert.notEqual(code, 0)
    assert.match(stderr, /is not on btrfs/)
    assert.match((await elsewhere.run('plugins', 'ls')).stdout, /btrfs/)
  })

  test('nothing is stored in the end', async () => {
    for (const snapshotter of ['overlayfs', 'btrfs', 'vfs']) {
      await daemon.run('gc', 'run')
      assert.deepEqual(await stored(snapshotter), [], snapshotter)
    }
  })
})

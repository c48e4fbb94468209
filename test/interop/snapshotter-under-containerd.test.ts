/** Our snapshotters as proxy plugins of Debian's containerd 1.6.20. */
import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { LoopBtrfs, lackingBtrfs } from '../filesystems/loop-btrfs.ts'
import { eventually, trying } from './container-verbs.ts'
import { Ctr, debian, lacking } from './ctr.ts'
import { DebianContainerd } from './debian-containerd.ts'
import { loadImage } from './load-image.ts'
import { Scoreboard } from './scoreboard.ts'
import { SnapshotterProcess } from './snapshotter-process.ts'

const skip = lacking(debian.ctr, debian.containerd, debian.runcShim, debian.runc)
const noBtrfs = skip || (await lackingBtrfs())

test('Debian’s containerd keeps snapshots in our overlayfs', { skip }, t => keepsSnapshots(t, 'overlayfs'))
test('Debian’s containerd keeps snapshots in our vfs', { skip }, t => keepsSnapshots(t, 'vfs'))
test('Debian’s containerd keeps snapshots in our btrfs', { skip: noBtrfs }, async t => {
  await using fs = await LoopBtrfs.make()
  await keepsSnapshots(t, 'btrfs', fs.path)
})

async function keepsSnapshots(t: TestContext, id: string, home?: string): Promise<void> {
  const name = `gantry-${id}`
  using board = new Scoreboard()
  await using plugin = await SnapshotterProcess.start({ id, home })
  await using containerd = await DebianContainerd.start({ snapshotters: { [name]: plugin.address } })
  await using ctr = new Ctr(containerd.address, containerd.folder)
  const verb = trying(t, board, `our ${id} under containerd 1.6`)
  const trees = join(plugin.root, 'snapshots')
  const snapshots = async () => (await ctr.ok('snapshots', '--snapshotter', name, 'ls')).trim().split('\n').slice(1)
  const here = ['--snapshotter', name]
  let image = ''

  await verb('plugins ls', async () =>
    assert.match(await ctr.ok('plugins', 'ls'), new RegExp(`snapshotter\\.v1\\s+${name}\\s.*ok`)),
  )
  await verb('images import', async () => {
    image = await loadImage(ctr, containerd.folder, here)
    assert.equal((await snapshots()).length, 2)
    assert.equal((await readdir(trees)).length, 2)
  })
  await verb('run --rm', async () => {
    const command = ['run', '--rm', '--fifo-dir', ctr.fifos, ...here, image, 'c1', 'cat', '/etc/motd']
    assert.equal(await ctr.ok(...command), 'hi\n')
    assert.equal((await snapshots()).length, 2)
  })
  await verb('a container writes', async () => {
    await ctr.ok('run', '-d', '--null-io', ...here, image, 'c2', 'sh', '-c', 'echo written > /kept; rm /etc/motd')
    await eventually(async () => assert.match(await ctr.ok('tasks', 'ls'), /^c2\s+\d+\s+STOPPED/m))
    await ctr.ok('tasks', 'rm', 'c2')
  })
  await verb('snapshots usage, info, label, tree', async () => {
    assert.match(await ctr.ok('snapshots', ...here, 'usage', 'c2'), /^c2\s+\S+ \S*B\s+\d/m)
    assert.match(await ctr.ok('snapshots', ...here, 'info', 'c2'), /"Kind": "Active"/)
    await ctr.ok('snapshots', ...here, 'label', 'c2', 'a=b')
    assert.match(await ctr.ok('snapshots', ...here, 'info', 'c2'), /"a": "b"/)
    assert.match(await ctr.ok('snapshots', ...here, 'tree'), /\\_ c2/)
  })
  await verb('snapshots diff', async () => {
    const file = join(containerd.folder, 'diff.tar')
    const type = ['--media-type', 'application/vnd.oci.image.layer.v1.tar']
    await writeFile(file, await ctr.ok('snapshots', ...here, 'diff', ...type, 'c2'))
    const tar = await readFile(file, 'utf8')
    assert.match(tar, /kept/)
    assert.match(tar, /etc\/\.wh\.motd/)
  })
  await verb('snapshots commit, view, rm', async () => {
    await ctr.ok('snapshots', ...here, 'commit', 'layer', 'c2')
    // ctr's views are garbage from the start, so containerd's collector may be there before us.
    await ctr.ok('snapshots', ...here, 'view', 'glance', 'layer')
    await ctr.outcome(['snapshots', ...here, 'rm', 'glance'])
    await ctr.ok('snapshots', ...here, 'prepare', 'look', 'layer')
    assert.match((await ctr.outcome(['snapshots', ...here, 'rm', 'layer'])).stderr, /cannot remove snapshot with child/)
    await ctr.ok('snapshots', ...here, 'rm', 'look')
    await eventually(async () => void (await ctr.ok('snapshots', ...here, 'rm', 'layer')))
    await ctr.ok('containers', 'rm', 'c2')
    assert.equal((await snapshots()).length, 2)
  })
  await verb('the plugin restarted in between', async () => {
    await plugin.stop()
    await plugin.start()
    await eventually(async () => assert.equal((await snapshots()).length, 2))
    const command = ['run', '--rm', '--fifo-dir', ctr.fifos, ...here, image, 'c3', 'cat', '/etc/motd']
    await eventually(async () => assert.equal(await ctr.ok(...command), 'hi\n'))
  })
  await verb('images rm: collected until nothing is left', async () => {
    await ctr.ok('images', 'rm', '--sync', image)
    assert.deepEqual(await snapshots(), [])
    await eventually(async () => assert.deepEqual(await readdir(trees), []))
  })
}

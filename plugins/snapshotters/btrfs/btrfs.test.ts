import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { removeSubvolume } from '#api/sys/btrfs.ts'
import { openSnapshotter } from '#sdk/define-snapshotter.ts'
import { snapshotterSuite } from '#sdk/snapshotter-suite.ts'
import { LoopBtrfs, lackingBtrfs } from '../../../test/filesystems/loop-btrfs.ts'
import { btrfs } from './btrfs.ts'
import { innermost } from './device.ts'

const skip = await lackingBtrfs()
const traits = { rebases: false }

/** Read-only subvolumes cannot be emptied file by file. */
async function erase(root: string): Promise<void> {
  const all = join(root, 'snapshots')
  for (const name of await readdir(all)) await removeSubvolume(join(all, name))
}

describe('btrfs, in-process', { skip }, () => {
  let fs: LoopBtrfs
  before(async () => {
    fs = await LoopBtrfs.make()
  })
  after(() => fs[Symbol.asyncDispose]())
  const factory = (root: string) => openSnapshotter(btrfs, { root })
  snapshotterSuite('btrfs, in-process', factory, { ...traits, home: () => fs.path, erase })
})

describe('btrfs with quotas', { skip }, () => {
  test('usage is the quota group’s', async () => {
    await using fs = await LoopBtrfs.make()
    await using undo = new AsyncDisposableStack()
    const s = await openSnapshotter(btrfs, { root: fs.path, config: { enable_quota: true } })
    undo.defer(() => s.close())
    await s.prepare('key', '')
    const { bytes } = await s.usage('key')
    assert.ok(bytes > 0 && bytes <= 32768, `${bytes}: its metadata, which only a quota group counts`)
  })
})

test('a root that is not on btrfs is refused', async () => {
  const root = await mkdtemp(join(tmpdir(), 'gantry-not-btrfs-'))
  try {
    if ((await statfs(root)).type === 0x9123683e) return
    await assert.rejects(openSnapshotter(btrfs, { root }), {
      code: 'FAILED_PRECONDITION',
      message: /is not on btrfs .* mount a btrfs there/,
    })
  } finally {
    await rm(root, { recursive: true })
  }
})

test('the device of the innermost mount', () => {
  const table = [
    '1 0 8:1 / / rw - ext4 /dev/root rw',
    '2 1 0:5 / /a rw shared:3 master:1 - btrfs /dev/loop1 rw',
    '3 1 0:6 / /a/with\\040space rw - btrfs /dev/loop2 rw',
    '4 1 0:7 / /ab rw - tmpfs none rw',
  ].join('\n')
  assert.equal(innermost('/a/x', table), '/dev/loop1')
  assert.equal(innermost('/a/with space', table), '/dev/loop2')
  assert.equal(innermost('/abc', table), '/dev/root')
})

// Against a real btrfs in a loopback file.
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { LoopBtrfs, lackingBtrfs } from '../../test/filesystems/loop-btrfs.ts'
import * as btrfs from './btrfs.ts'
import { syncfs } from './sys.ts'

const skip = await lackingBtrfs()

describe('btrfs', { skip }, () => {
  let fs: LoopBtrfs
  before(async () => {
    fs = await LoopBtrfs.make()
  })
  after(() => fs[Symbol.asyncDispose]())

  test('a subvolume, its snapshot, and what each holds', async () => {
    const [base, child] = [join(fs.path, 'base'), join(fs.path, 'child')]
    await btrfs.createSubvolume(base)
    writeFileSync(join(base, 'file'), Buffer.alloc(1 << 20, 1))
    writeFileSync(join(base, 'small'), 'x')
    await btrfs.snapshotSubvolume(base, child)
    assert.deepEqual(await btrfs.subvolumeUsage(child), { bytes: 0, inodes: 1, byQuota: false })
    assert.equal(readFileSync(join(child, 'small'), 'utf8'), 'x')
    writeFileSync(join(child, 'new'), Buffer.alloc(2 << 20, 1))
    const { bytes, inodes } = await btrfs.subvolumeUsage(child)
    assert.equal(bytes, 2 << 20)
    assert.ok(inodes >= 2 && inodes <= 3, `${inodes}: the root and the file`)
    assert.equal((await btrfs.subvolumeUsage(base)).bytes, (1 << 20) + 1)
    const [one, other] = [await btrfs.subvolumeInfo(base), await btrfs.subvolumeInfo(child)]
    assert.notEqual(one.id, other.id)
    assert.ok(other.createdGeneration > one.createdGeneration)
  })

  test('read-only, both ways', async () => {
    const path = join(fs.path, 'sealed')
    await btrfs.createSubvolume(path)
    await btrfs.setSubvolumeReadOnly(path, true)
    await btrfs.setSubvolumeReadOnly(path, true)
    assert.equal((await btrfs.subvolumeInfo(path)).readOnly, true)
    assert.throws(() => writeFileSync(join(path, 'x'), ''), { code: 'EROFS' })
    await btrfs.setSubvolumeReadOnly(path, false)
    writeFileSync(join(path, 'x'), '')
    await btrfs.snapshotSubvolume(path, join(fs.path, 'born-sealed'), { readOnly: true })
    assert.equal((await btrfs.subvolumeInfo(join(fs.path, 'born-sealed'))).readOnly, true)
  })

  test('goes with the subvolumes inside it, however deep, read-only or not', async () => {
    const path = join(fs.path, 'outer')
    await btrfs.createSubvolume(path)
    mkdirSync(join(path, 'some/where'), { recursive: true })
    for (const inner of ['some/where/inner', 'some/where/inner/innermost', 'flat'])
      await btrfs.createSubvolume(join(path, inner))
    for (const sealed of ['some/where/inner', '.']) await btrfs.setSubvolumeReadOnly(join(path, sealed), true)
    await btrfs.removeSubvolume(path)
    assert.throws(() => statSync(path), { code: 'ENOENT' })
    await btrfs.removeSubvolume(path)
  })

  test('what is there already, what is not there, what is no subvolume', async () => {
    const path = join(fs.path, 'taken')
    await btrfs.createSubvolume(path)
    await assert.rejects(btrfs.createSubvolume(path), { code: 'EEXIST', syscall: 'BTRFS_IOC_SUBVOL_CREATE_V2' })
    await assert.rejects(btrfs.snapshotSubvolume(join(fs.path, 'nobody'), join(fs.path, 'x')), { code: 'ENOENT' })
    mkdirSync(join(path, 'directory'))
    await assert.rejects(btrfs.snapshotSubvolume(join(path, 'directory'), join(fs.path, 'x')), { code: 'EINVAL' })
  })

  test('elsewhere it is ENOTTY', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'gantry-no-btrfs-'))
    try {
      if (statSync(dir).dev === statSync(fs.path).dev) return
      await assert.rejects(btrfs.createSubvolume(join(dir, 'x')), { code: 'ENOTTY' })
    } finally {
      await rm(dir, { recursive: true })
    }
  })

  test('with quotas on, the file system’s own figure', async () => {
    await using own = await LoopBtrfs.make()
    const path = join(own.path, 'subvolume')
    await btrfs.enableQuota(own.path)
    await btrfs.enableQuota(own.path)
    await btrfs.createSubvolume(path)
    writeFileSync(join(path, 'file'), Buffer.alloc(1 << 20, 1))
    await syncfs(own.path)
    const usage = await btrfs.subvolumeUsage(path)
    assert.equal(usage.byQuota, true)
    assert.ok(usage.bytes >= 1 << 20 && usage.bytes < (1 << 20) + 65536 * 2, `${usage.bytes}`)
  })
})

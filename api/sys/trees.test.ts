// Against the real kernel; what shares extents needs a btrfs of its own.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { LoopBtrfs, lackingBtrfs } from '../../test/filesystems/loop-btrfs.ts'
import * as sys from './sys.ts'
import { copyTree, removeTree } from './trees.ts'

const skip = process.getuid?.() === 0 ? false : 'needs root'
const noBtrfs = await lackingBtrfs()
let dir: string
before(() => {
  dir = mkdtempSync(join(tmpdir(), 'gantry-trees-'))
})
after(() => rmSync(dir, { recursive: true, force: true }))

/** A file capability (cap_net_raw+ep, version 2): vfs_cap_data of linux/capability.h. */
const netRaw = Buffer.from('0100000200200000000000000000000000000000', 'hex')

function everything(name: string): string {
  const root = join(dir, name)
  mkdirSync(join(root, 'sub/deeper'), { recursive: true })
  writeFileSync(join(root, 'file'), 'content')
  writeFileSync(join(root, 'sub/program'), '#!')
  chownSync(join(root, 'sub/program'), 1000, 1001)
  chmodSync(join(root, 'sub/program'), 0o6755)
  linkSync(join(root, 'file'), join(root, 'sub/deeper/again'))
  symlinkSync('/etc/passwd', join(root, 'link'))
  execFileSync('mknod', ['-m', '640', join(root, 'null'), 'c', '1', '3'])
  execFileSync('mkfifo', ['-m', '620', join(root, 'fifo')])
  chownSync(join(root, 'fifo'), 7, 8)
  const sparse = openSync(join(root, 'sparse'), 'w')
  writeSync(sparse, 'middle', 8 << 20)
  closeSync(sparse)
  truncateSync(join(root, 'sparse'), 64 << 20)
  chmodSync(join(root, 'sub/deeper'), 0o1777)
  for (const path of ['file', 'sub/deeper', 'sub', 'fifo']) utimesSync(join(root, path), 1_000_000.5, 2_000_000.25)
  return root
}

describe('copyTree', { skip }, () => {
  test('keeps what a container can notice', async () => {
    const from = everything('all')
    await sys.setXattr(join(from, 'sub/program'), 'security.capability', netRaw)
    await sys.setXattr(join(from, 'sub'), 'user.note', 'x'.repeat(1000))
    await sys.setXattr(join(from, 'link'), 'trusted.of-link', 'yes')
    const server = createServer().listen(join(from, 'socket'))
    await using _closed = { [Symbol.asyncDispose]: async () => void server.close() }
    const to = join(dir, 'all-copied')
    const result = await copyTree(from, to)
    assert.equal(result.skippedXattrs, 0)
    assert.equal(result.inodes, Number(execFileSync('sh', ['-c', `find ${from} -printf '%i\n' | sort -u | wc -l`])))

    const facts = (root: string) =>
      execFileSync('find', [root, '-printf', '%P %M %U:%G %n %s %t %y %l\n'], { encoding: 'utf8' }).split('\n').sort()
    assert.deepEqual(facts(to), facts(from))
    assert.equal(readFileSync(join(to, 'file'), 'utf8'), 'content')
    assert.equal(lstatSync(join(to, 'file')).ino, lstatSync(join(to, 'sub/deeper/again')).ino, 'one file, two names')
    assert.equal(readlinkSync(join(to, 'link')), '/etc/passwd')
    assert.equal(lstatSync(join(to, 'null')).rdev, lstatSync('/dev/null').rdev)
    assert.ok(lstatSync(join(to, 'socket')).isSocket())
    assert.deepEqual(await sys.getXattr(join(to, 'sub/program'), 'security.capability'), netRaw)
    assert.equal((await sys.getXattr(join(to, 'sub'), 'user.note')).length, 1000)
    assert.equal(String(await sys.getXattr(join(to, 'link'), 'trusted.of-link')), 'yes')
    assert.ok(lstatSync(join(to, 'sparse')).blocks < 64, 'holes stay holes')
    assert.deepEqual(readFileSync(join(to, 'sparse')), readFileSync(join(from, 'sparse')))
  })

  test('refuses a target that exists, and a source that does not', async () => {
    const from = everything('twice')
    await assert.rejects(copyTree(from, from), { code: 'EEXIST' })
    await assert.rejects(copyTree(join(dir, 'nobody'), join(dir, 'x')), { code: 'ENOENT' })
    assert.equal(existsSync(join(dir, 'x')), false)
  })

  test('stops when asked to', async () => {
    const from = everything('stopped')
    await assert.rejects(copyTree(from, join(dir, 'never'), AbortSignal.abort(new Error('enough'))), /enough/)
  })

  test('shares extents on btrfs', { skip: noBtrfs }, async () => {
    await using fs = await LoopBtrfs.make()
    const from = join(fs.path, 'from')
    mkdirSync(from)
    writeFileSync(join(from, 'big'), Buffer.alloc(4 << 20, 7))
    const result = await copyTree(from, join(fs.path, 'to'))
    assert.deepEqual(result, { inodes: 2, bytes: 0, clonedFiles: 1, skippedXattrs: 0 })
    assert.deepEqual(readFileSync(join(fs.path, 'to/big')), Buffer.alloc(4 << 20, 7))
    const across = await copyTree(from, join(dir, 'across'))
    assert.deepEqual([across.bytes, across.clonedFiles], [4 << 20, 0])
    assert.deepEqual(readFileSync(join(dir, 'across/big')), Buffer.alloc(4 << 20, 7))
  })
})

describe('removeTree', { skip }, () => {
  test('names deeper than a path can be', async () => {
    const top = join(dir, 'deep')
    mkdirSync(top)
    execFileSync('perl', ['-e', 'chdir $ARGV[0]; for (1..1500) { mkdir "d"x20; chdir "d"x20 } open F, ">f"', top])
    await removeTree(top)
    assert.equal(existsSync(top), false)
  })

  test('follows no link; missing is fine; a file too', async () => {
    const top = everything('doomed')
    symlinkSync(dir, join(top, 'outside'))
    await removeTree(top)
    assert.equal(existsSync(top), false)
    assert.ok(readdirSync(dir).length > 0)
    await removeTree(top)
    writeFileSync(top, '')
    await removeTree(top)
    assert.equal(existsSync(top), false)
  })
})

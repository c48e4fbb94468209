// Against the real kernel. What needs root is skipped, with the reason, when we are not.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  closeSync,
  createReadStream,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { createConnection, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import * as sys from './sys.ts'

const skip = process.getuid?.() === 0 ? false : 'needs root'
let dir: string
before(() => {
  dir = mkdtempSync(join(tmpdir(), 'gantry-sys-'))
})
after(() => rmSync(dir, { recursive: true, force: true }))

/** A fresh folder of that name. */
function folder(name: string): string {
  const path = join(dir, name)
  mkdirSync(path, { recursive: true })
  return path
}

const mountTable = () => readFileSync('/proc/self/mountinfo', 'utf8')

describe('mount', { skip }, () => {
  test('binds read-only, privately, and unmounts', async () => {
    const [source, target] = [folder('bind-source'), folder('bind-target')]
    writeFileSync(join(source, 'file'), 'x')
    await sys.mount([{ type: 'bind', source, options: ['rbind', 'ro', 'nosuid', 'rprivate'] }], target)
    assert.equal(readFileSync(join(target, 'file'), 'utf8'), 'x')
    assert.throws(() => writeFileSync(join(target, 'new'), ''), { code: 'EROFS' })
    const line = mountTable()
      .split('\n')
      .find(entry => entry.includes(target))
    assert.match(line ?? '', / ro,nosuid[^-]* - /)
    await sys.unmount(target)
    await sys.unmount(target)
    await sys.unmount(join(dir, 'never-there'))
    assert.ok(!mountTable().includes(dir))
  })

  test('keeps what the source forbids when it adds a flag', async () => {
    const [source, target] = [folder('inherit-source'), folder('inherit-target')]
    await sys.mount([{ type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'nodev', 'size=64k'] }], source)
    await sys.mount([{ type: 'bind', source, options: ['bind', 'ro'] }], target)
    const line = mountTable()
      .split('\n')
      .find(entry => entry.includes(target))
    assert.match(line ?? '', / ro,nosuid,nodev/)
    await sys.unmount(target)
    await sys.unmount(source)
  })

  test('joins more lower directories than fit one page', async () => {
    const [layers, target] = [folder('layers'), folder('merged')]
    const lowers = Array.from({ length: 300 }, (_, i) => folder(join('layers', `${'n'.repeat(40)}${i}`)))
    lowers.forEach((lower, i) => {
      writeFileSync(join(lower, `file-${i}`), '')
    })
    const upper = [`upperdir=${folder('upper')}`, `workdir=${folder('work')}`]
    for (const count of [2, 90, 300]) {
      const options = [`lowerdir=${lowers.slice(0, count).join(':')}`, ...upper]
      await sys.mount([{ type: 'overlay', source: 'overlay', options }], target)
      assert.equal(readdirSync(target).length, count)
      await sys.unmount(target)
    }
    assert.ok(layers)
  })

  test('undoes what it did when a later one fails, and names it', async () => {
    const target = folder('undone')
    const mounts: sys.Mount[] = [
      { type: 'tmpfs', source: 'tmpfs', options: ['size=64k'] },
      { type: 'bind', source: join(dir, 'missing'), target: '/', options: ['bind'] },
    ]
    await assert.rejects(sys.mount(mounts, target), (error: sys.SysError) => {
      assert.equal(error.code, 'ENOENT')
      assert.equal(error.syscall, 'mount')
      assert.equal(error.path, join(dir, 'missing'))
      assert.equal(error.dest, target)
      return true
    })
    assert.ok(!mountTable().includes(target))
  })

  test('refuses what it would have to ignore', async () => {
    const target = folder('refused')
    await assert.rejects(sys.mount([{ type: 'ext4', source: 'x', options: ['loop'] }], target), { code: 'EOPNOTSUPP' })
    const climbing = { type: 'tmpfs', source: 'x', target: '../x', options: [] }
    await assert.rejects(sys.mount([climbing], target), { code: 'EINVAL' })
  })

  test('unmounts stacks, trees and busy mounts', async () => {
    const target = folder('stack')
    const tmpfs = (below?: string): sys.Mount => ({
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['size=64k'],
      ...(below && { target: below }),
    })
    await sys.mount([tmpfs(), tmpfs()], target)
    mkdirSync(join(target, 'with space'))
    await sys.mount([tmpfs('with space')], target)
    await assert.rejects(sys.unmount(target), { code: 'EBUSY' })
    await sys.unmount(target, { recursive: true })
    assert.ok(!mountTable().includes(target.slice(-20)))
    await sys.mount([tmpfs()], target)
    const holder = spawn('/bin/sleep', ['60'], { cwd: target, stdio: 'ignore' })
    await once(holder, 'spawn')
    await sys.unmount(target, { detach: true })
    assert.ok(!mountTable().includes(target))
    holder.kill()
    await once(holder, 'exit')
  })
})

/** An encoded nlmsg. */
function nlmsg(type: number, flags: number, seq: number, payload: Buffer): Buffer {
  const message = Buffer.alloc(16 + payload.length)
  message.writeUInt32LE(message.length, 0)
  message.writeUInt16LE(type, 4)
  message.writeUInt16LE(flags, 6)
  message.writeUInt32LE(seq, 8)
  payload.copy(message, 16)
  return message
}

/** struct ifinfomsg */
function link(index: number, flags = 0, change = 0): Buffer {
  const info = Buffer.alloc(16)
  info.writeInt32LE(index, 4)
  info.writeUInt32LE(flags, 8)
  info.writeUInt32LE(change, 12)
  return info
}

const [NETLINK_ROUTE, NETLINK_NETFILTER] = [0, 12]
const [RTM_NEWLINK, RTM_GETLINK] = [16, 18]
const [REQUEST, ACK, DUMP] = [1, 4, 0x300]

describe('network namespaces and netlink', { skip }, () => {
  let pin: string
  before(async () => {
    pin = join(dir, 'netns')
    await sys.createNetns(pin)
  })
  after(() => sys.removeNetns(pin))

  test('a new namespace holds nothing but a loopback that is up', async () => {
    const links = await sys.netlinkRequest(NETLINK_ROUTE, nlmsg(RTM_GETLINK, REQUEST | DUMP, 1, link(0)), {
      netns: pin,
    })
    assert.equal(links.length, 1)
    assert.equal(links[0]?.readUInt16LE(4), RTM_NEWLINK)
    assert.equal(links[0]?.readInt32LE(20), 1)
    assert.equal((links[0]?.readUInt32LE(24) ?? 0) & 1, 1)
  })

  test('creating is idempotent, and so is removing', async () => {
    const inode = statSync(pin).ino
    await sys.createNetns(pin)
    assert.equal(statSync(pin).ino, inode)
    const other = join(dir, 'netns-other')
    writeFileSync(other, '')
    await sys.createNetns(other)
    assert.notEqual(statSync(other).ino, inode)
    await sys.removeNetns(other)
    await sys.removeNetns(other)
    assert.ok(!existsSync(other))
    assert.ok(!mountTable().includes(other))
  })

  test('a failed creation leaves no file', async () => {
    await assert.rejects(sys.createNetns(join(dir, 'no-such-folder/ns')), { code: 'ENOENT', syscall: 'open' })
  })

  test('our own namespace is the default and stays ours', async () => {
    const before = statSync('/proc/self/ns/net').ino
    const dump = nlmsg(RTM_GETLINK, REQUEST | DUMP, 1, link(0))
    await Promise.all(Array.from({ length: 20 }, () => sys.netlinkRequest(NETLINK_ROUTE, dump, { netns: pin })))
    assert.equal(statSync('/proc/self/ns/net').ino, before)
    assert.ok((await sys.netlinkRequest(NETLINK_ROUTE, dump)).length >= 1)
  })

  test('several messages in one datagram are answered each', async () => {
    const messages = Buffer.concat([1, 2, 3].map(seq => nlmsg(RTM_GETLINK, REQUEST | ACK, seq, link(1))))
    const answers = await sys.netlinkRequest(NETLINK_ROUTE, messages, { netns: pin })
    assert.deepEqual(
      answers.map(answer => answer.readUInt32LE(8)),
      [1, 2, 3],
    )
  })

  test('a refusal carries code, sequence number and the kernel’s words', async () => {
    await assert.rejects(sys.netlinkRequest(NETLINK_ROUTE, nlmsg(RTM_GETLINK, REQUEST | ACK, 9, link(4711))), {
      code: 'ENODEV',
      seq: 9,
    })
    const strict = nlmsg(RTM_GETLINK, REQUEST | DUMP, 3, link(4711, 1, 1))
    await assert.rejects(sys.netlinkRequest(NETLINK_ROUTE, strict, { strict: true }), (error: sys.SysError) => {
      assert.equal(error.code, 'EINVAL')
      assert.ok(error.extAck && error.message.includes(error.extAck), error.message)
      return true
    })
  })

  test('an nf_tables batch is carried out, and a refused one is told', async () => {
    const table = (name: string) => Buffer.concat([Buffer.from([1, 0, 0, 0]), attribute(1, `${name}\0`)])
    const [NEWTABLE, DELTABLE] = [10 << 8, (10 << 8) | 2]
    const options = { netns: pin }
    const batch = (seq: number, ...inner: Buffer[]) => {
      const subsystem = Buffer.from([0, 0, 0, 10])
      return Buffer.concat([nlmsg(16, REQUEST, seq, subsystem), ...inner, nlmsg(17, REQUEST, seq + 99, subsystem)])
    }
    const create = nlmsg(NEWTABLE, REQUEST | ACK | 0x600, 11, table('gantry-test'))
    await sys.netlinkRequest(NETLINK_NETFILTER, batch(10, create), options)
    await assert.rejects(sys.netlinkRequest(NETLINK_NETFILTER, batch(10, create), options), { code: 'EEXIST', seq: 11 })
    // Without ACK a refusal is sent all the same.
    const missing = nlmsg(DELTABLE, REQUEST, 12, table('never-made'))
    await assert.rejects(sys.netlinkRequest(NETLINK_NETFILTER, batch(10, missing), options), {
      code: 'ENOENT',
      seq: 12,
    })
    const remove = nlmsg(DELTABLE, REQUEST | ACK, 13, table('gantry-test'))
    await sys.netlinkRequest(NETLINK_NETFILTER, batch(10, remove), options)
  })

  test('what is no message is refused before it is sent', async () => {
    await assert.rejects(sys.netlinkRequest(NETLINK_ROUTE, Buffer.alloc(20)), { code: 'EBADMSG' })
    await assert.rejects(sys.netlinkRequest(NETLINK_ROUTE, Buffer.alloc(0), { netns: dir }), { code: 'EINVAL' })
  })

  test('a subscription sees what happens in its namespace until it is closed', async () => {
    const seen: number[] = []
    const onMessages = (messages: Buffer[]) => seen.push(...messages.map(message => message.readUInt16LE(4)))
    {
      using subscription = sys.netlinkSubscribe(NETLINK_ROUTE, [1], onMessages, { netns: pin })
      assert.ok(subscription)
      await sys.netlinkRequest(NETLINK_ROUTE, nlmsg(RTM_NEWLINK, REQUEST | ACK, 1, link(1, 0, 1)), { netns: pin })
      for (let waited = 0; seen.length === 0 && waited < 2000; waited += 10) await new Promise(go => setTimeout(go, 10))
    }
    assert.deepEqual(new Set(seen), new Set([RTM_NEWLINK]))
    const count = seen.length
    await sys.netlinkRequest(NETLINK_ROUTE, nlmsg(RTM_NEWLINK, REQUEST | ACK, 1, link(1, 1, 1)), { netns: pin })
    await new Promise(go => setTimeout(go, 50))
    assert.equal(seen.length, count)
    assert.throws(() => sys.netlinkSubscribe(NETLINK_ROUTE, [99999], () => {}), { code: /E/ })
  })
})

/** struct nlattr with a text. */
function attribute(type: number, text: string): Buffer {
  const value = Buffer.from(text)
  const encoded = Buffer.alloc(4 + Math.ceil(value.length / 4) * 4)
  encoded.writeUInt16LE(4 + value.length, 0)
  encoded.writeUInt16LE(type, 2)
  value.copy(encoded, 4)
  return encoded
}

/** A ustar archive of plain files. */
function tar(files: Record<string, string>): Buffer {
  const blocks = Object.entries(files).flatMap(([name, body]) => {
    const header = Buffer.alloc(512)
    header.write(name, 0)
    header.write('0000644', 100)
    header.write('0000000', 108)
    header.write('0000000', 116)
    header.write(body.length.toString(8).padStart(11, '0'), 124)
    header.write('00000000000', 136)
    header.write('        0', 148)
    header.write('ustar\x0000', 257)
    header.write(
      `${header
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, '0')}\0 `,
      148,
    )
    return [header, Buffer.from(body.padEnd(Math.ceil(body.length / 512) * 512, '\0'))]
  })
  return Buffer.concat([...blocks, Buffer.alloc(1024)])
}

describe('layers', { skip }, () => {
  const stored = (name: string, bytes: Buffer) => {
    const source = join(dir, name)
    writeFileSync(source, bytes)
    return source
  }

  test('unpacks and tells what it was', async () => {
    const archive = tar({ 'a/file': 'hello', '.wh.gone': '' })
    const source = stored('layer.gz', Buffer.concat([Buffer.from('skip'), gzipSync(archive)]))
    const target = folder('applied')
    writeFileSync(join(target, 'gone'), '')
    const result = await sys.applyLayer({ source, offset: 4, target, format: 'plain', sync: true })
    assert.deepEqual(result, {
      diffId: `sha256:${createHash('sha256').update(archive).digest('hex')}`,
      uncompressedBytes: archive.length,
      entries: 2,
      skippedXattrs: 0,
    })
    assert.equal(readFileSync(join(target, 'a/file'), 'utf8'), 'hello')
    assert.ok(!existsSync(join(target, 'gone')))
  })

  test('writes whiteouts for an overlay', async () => {
    const [target, lower] = [folder('applied-upper'), folder('applied-lower')]
    mkdirSync(join(lower, 'dir'), { mode: 0o700 })
    const source = stored('layer.tar', tar({ 'dir/.wh.gone': '' }))
    await sys.applyLayer({ source, target, format: 'overlay', lowers: [lower] })
    const mark = lstatSync(join(target, 'dir/gone'))
    assert.ok(mark.isCharacterDevice() && mark.rdev === 0)
    assert.equal(statSync(join(target, 'dir')).mode & 0o777, 0o700)
  })

  test('makes a layer that unpacks to the same', async () => {
    const [upper, output] = [folder('created-upper'), join(dir, 'created.gz')]
    mkdirSync(join(upper, 'dir'))
    writeFileSync(join(upper, 'dir/file'), 'content')
    await sys.mknod(join(upper, 'gone'), 0o020000)
    const request = { upper, mode: 'overlay', output, compression: 'gzip' } as const
    const created = await sys.createLayer(request)
    const stored = readFileSync(output)
    assert.equal(created.digest, `sha256:${createHash('sha256').update(stored).digest('hex')}`)
    assert.equal(created.sizeBytes, stored.length)
    assert.equal(created.entries, 3)
    const target = folder('created-target')
    writeFileSync(join(target, 'gone'), '')
    const applied = await sys.applyLayer({ source: output, target, format: 'plain' })
    assert.equal(applied.diffId, created.diffId)
    assert.deepEqual(readdirSync(target, { recursive: true }).sort(), ['dir', 'dir/file'])
    await assert.rejects(sys.createLayer(request), { code: 'EEXIST', path: output })
    const missing = {
      upper: join(dir, 'nowhere'),
      mode: 'diff',
      output: join(dir, 'never'),
      compression: 'zstd',
    } as const
    await assert.rejects(sys.createLayer(missing), { code: 'ENOENT', path: missing.upper })
    assert.ok(!existsSync(missing.output))
  })

  test('errors say what kind, which entry, and where', async () => {
    const target = folder('failed')
    const apply = (source: string, limits?: sys.LayerLimits) =>
      sys.applyLayer({ source, target, format: 'plain', ...(limits && { limits }) })
    const climbing = stored('climbing', tar({ fine: '', '../escape': '' }))
    await assert.rejects(apply(climbing), { code: 'EUNSAFE_ARCHIVE', entry: '../escape', offset: 512 })
    await assert.rejects(apply(stored('not-tar', Buffer.alloc(600, 'x'))), { code: 'EINVAL_ARCHIVE', offset: 0 })
    const cut = gzipSync(tar({ a: 'x'.repeat(5000) })).subarray(0, -9)
    await assert.rejects(apply(stored('cut', cut)), { code: 'ECOMPRESSION' })
    await assert.rejects(apply(climbing, { maxEntries: 1 }), { code: 'ELIMIT_ARCHIVE' })
    await assert.rejects(apply(join(dir, 'missing')), { code: 'ENOENT', syscall: 'open', path: join(dir, 'missing') })
    await assert.rejects(sys.applyLayer({ source: climbing, target: join(dir, 'nowhere'), format: 'plain' }), {
      code: 'ENOENT',
      path: join(dir, 'nowhere'),
    })
    const wrong = { source: climbing, target, format: 'zip' } as unknown as sys.ApplyLayerRequest
    await assert.rejects(sys.applyLayer(wrong), { code: 'EINVAL', message: /plain, overlay/ })
  })

  test('stops when the signal fires', async () => {
    const source = stored('long', tar({ a: 'x'.repeat(50_000_000) }))
    const request = { source, target: folder('stopped'), format: 'plain' } as const
    const stop = new AbortController()
    const running = sys.applyLayer(request, stop.signal)
    stop.abort(new Error('enough'))
    await assert.rejects(running, { message: 'enough' })
    await assert.rejects(sys.applyLayer(request, stop.signal), { message: 'enough' })
  })
})

describe('files', () => {
  test('usage counts as du does', { skip }, async () => {
    const root = folder('usage')
    writeFileSync(join(root, 'a'), Buffer.alloc(10_000))
    await sys.spawnDetached({ argv: ['/bin/ln', 'a', 'b'], env: {}, cwd: root })
    mkdirSync(join(root, 'deep/er'), { recursive: true })
    const before = await sys.statUsage(root)
    await sys.mount([{ type: 'tmpfs', source: 'tmpfs', options: ['size=1m'] }], join(root, 'deep/er'))
    writeFileSync(join(root, 'deep/er/other-file-system'), 'x'.repeat(100_000))
    const inside = await sys.statUsage(root)
    await sys.unmount(join(root, 'deep/er'))
    const du = await sys.spawnDetached({ argv: ['/usr/bin/du', '-s', '--block-size=1', root], env: {}, cwd: '/' })
    assert.equal(before.bytes, Number.parseInt(du.stdout.toString(), 10))
    assert.equal(before.inodes, 4)
    assert.equal(inside.inodes, 3)
    await assert.rejects(sys.statUsage(join(root, 'nope')), { code: 'ENOENT' })
  })

  test('extended attributes', { skip }, async () => {
    const [file, target] = [join(dir, 'attributed'), join(dir, 'link')]
    writeFileSync(file, '')
    symlinkSync(file, target)
    await sys.setXattr(file, 'trusted.a', 'text')
    await sys.setXattr(target, 'trusted.b', Buffer.alloc(3000, 7))
    assert.equal((await sys.getXattr(file, 'trusted.a')).toString(), 'text')
    assert.deepEqual(await sys.listXattr(file), ['trusted.a'])
    assert.deepEqual(await sys.listXattr(target), ['trusted.b'])
    assert.deepEqual(await sys.listXattr(target, { followSymlinks: true }), ['trusted.a'])
    assert.equal((await sys.getXattr(target, 'trusted.b')).length, 3000)
    await sys.removeXattr(file, 'trusted.a')
    await assert.rejects(sys.getXattr(file, 'trusted.a'), { code: 'ENODATA', path: file })
    await assert.rejects(sys.removeXattr(file, 'trusted.a'), { code: 'ENODATA' })
  })

  test('device nodes', { skip }, async () => {
    const path = join(dir, 'null')
    await sys.mknod(path, 0o020666, { major: 1, minor: 3 })
    const stat = statSync(path)
    assert.equal(stat.mode, 0o020666)
    assert.equal(stat.rdev, 0x103)
    await assert.rejects(sys.mknod(path, 0o020666, { major: 1, minor: 3 }), { code: 'EEXIST' })
  })

  test('rename with flags', async () => {
    const [from, to] = [join(dir, 'rename-a'), join(dir, 'rename-b')]
    writeFileSync(from, 'a')
    writeFileSync(to, 'b')
    await assert.rejects(sys.renameat2(from, to, sys.RENAME_NOREPLACE), { code: 'EEXIST', path: from, dest: to })
    await sys.renameat2(from, to, sys.RENAME_EXCHANGE)
    assert.equal(readFileSync(from, 'utf8'), 'b')
    await assert.rejects(sys.renameat2(from, to, 0x8000), { code: 'EINVAL' })
  })

  test('sync', async () => {
    await sys.syncfs(dir)
    await sys.fsyncDir(dir)
    writeFileSync(join(dir, 'no-dir'), '')
    await assert.rejects(sys.fsyncDir(join(dir, 'no-dir')), { code: 'ENOTDIR' })
    await assert.rejects(sys.syncfs(join(dir, 'nope')), { code: 'ENOENT' })
  })

  test('locks exclude each other and end with release', async () => {
    const path = join(dir, 'lock')
    {
      using lock = await sys.lockFile(path)
      assert.ok(lock)
      assert.equal(await sys.lockFile(path), null)
      assert.equal(await sys.lockFile(path, { shared: true }), null)
      setTimeout(() => lock.release(), 30)
      using waited = await sys.lockFile(path, { wait: true })
      assert.ok(waited)
    }
    using first = await sys.lockFile(path, { shared: true })
    using second = await sys.lockFile(path, { shared: true })
    assert.ok(first && second)
  })
})

test('a table of iptables that cannot be', { skip }, () => {
  assert.throws(() => sys.iptablesTable(4, 'x'.repeat(32)), { code: 'EINVAL', message: /too long for a table's name/ })
  assert.throws(
    () => sys.iptablesTable(4, 'nowhere'),
    ({ code }) => code === 'ENOENT' || code === 'ENOPROTOOPT',
  )
  assert.throws(() => sys.iptablesTable(5 as 4, 'nat'), { code: 'EINVAL', message: /family 5 is not 4 or 6/ })
})

describe('processes', () => {
  test('alive means this very process', async () => {
    assert.equal(sys.processAlive(process.pid), true)
    assert.equal(sys.processAlive(process.pid, sys.processStartTime(process.pid)), true)
    assert.equal(sys.processAlive(process.pid, 1n), false)
    assert.equal(sys.processAlive(0x7fffffff), false)
    assert.throws(() => sys.processStartTime(0x7fffffff), { code: 'ENOENT' })
  })

  test('waiting for somebody else’s end', async () => {
    const child = spawn('/bin/sleep', ['0.2'], { stdio: 'ignore' })
    await once(child, 'spawn')
    const pid = child.pid ?? 0
    assert.equal(await sys.waitProcessExit(pid, { timeoutMs: 20 }), false)
    assert.equal(await sys.waitProcessExit(pid, { startTime: sys.processStartTime(pid), timeoutMs: 5000 }), true)
    assert.equal(await sys.waitProcessExit(0x7fffffff), true)
    await assert.rejects(sys.waitProcessExit(-1), { code: 'EINVAL' })
  })

  test('who is at the other end of a socket', async () => {
    const server = createServer().listen(join(dir, 'socket'))
    await once(server, 'listening')
    const client = createConnection(join(dir, 'socket'))
    const [peer] = (await once(server, 'connection')) as [Socket & { _handle: { fd: number } }]
    const { pid, uid, gid } = sys.peerCredentials(peer._handle.fd)
    assert.deepEqual({ pid, uid, gid }, { pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() })
    assert.throws(() => sys.peerCredentials(-1), { code: 'EBADF' })
    client.destroy()
    server.close()
  })

  test('a program gets exactly what it was given', async () => {
    const script = 'echo "$A|$PWD|$(ls /proc/self/fd | wc -l)"; cat; echo problem >&2; exit 7'
    const result = await sys.spawnDetached({
      argv: ['/bin/sh', '-c', script],
      env: { A: 'b c', PATH: '/usr/bin:/bin' },
      cwd: dir,
      stdin: Buffer.from('input'),
    })
    // 0, 1 and 2, and the directory ls reads.
    assert.equal(result.stdout.toString(), `b c|${dir}|4\ninput`)
    assert.equal(result.stderr.toString(), 'problem\n')
    assert.deepEqual([result.code, result.signal], [7, 0])
  })

  test('a program has a process group of its own and default signals', async () => {
    const script = 'echo $$ $(cut -d" " -f5 /proc/$$/stat); kill -PIPE $$'
    const { stdout, pid, code, signal } = await sys.spawnDetached({
      argv: ['/bin/sh', '-c', script],
      env: { PATH: '/usr/bin:/bin' },
      cwd: '/',
    })
    assert.equal(stdout.toString(), `${pid} ${pid}\n`)
    assert.deepEqual([code, signal], [141, 13])
  })

  test('much input and output, in both directions at once', async () => {
    const stdin = Buffer.alloc(800_000, 'abc')
    const { stdout } = await sys.spawnDetached({ argv: ['/bin/cat'], env: {}, cwd: '/', stdin })
    assert.ok(stdout.equals(stdin))
    const deaf = await sys.spawnDetached({ argv: ['/bin/true'], env: {}, cwd: '/', stdin })
    assert.equal(deaf.code, 0)
  })

  test('a daemon left behind does not hold the answer', async () => {
    const started = performance.now()
    const argv = ['/bin/sh', '-c', 'sleep 2 & echo $!']
    const { stdout } = await sys.spawnDetached({ argv, env: { PATH: '/usr/bin:/bin' }, cwd: '/' })
    assert.ok(performance.now() - started < 1500)
    process.kill(Number(stdout.toString()))
  })

  test('a program that goes on is talked to, and reaped once it has ended', async () => {
    const argv = ['/bin/sh', '-c', 'read line; echo "$line $PPID"; read end; exit 7']
    const { pid, stdin, stdout } = await sys.spawnPiped({ argv, env: {}, cwd: '/' })
    assert.equal(sys.reapChild(pid), undefined)
    const [, , , session] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')
    assert.equal(Number(session), pid, 'it leads one')
    writeSync(stdin, 'hello\n')
    const output = createReadStream('', { fd: stdout, encoding: 'utf8' })
    assert.deepEqual(await once(output, 'data'), [`hello ${process.pid}\n`])
    closeSync(stdin)
    await once(output.resume(), 'end')
    assert.ok(await sys.waitProcessExit(pid))
    assert.equal(sys.reapChild(pid), 7)
    assert.throws(() => sys.reapChild(pid), { code: 'ECHILD' })
    await assert.rejects(sys.spawnPiped({ argv: ['/no/such/program'], env: {}, cwd: '/' }), { code: 'ENOENT' })
  })

  test('what cannot be started, does not end or talks too much', async () => {
    const start = (argv: string[], more: Partial<sys.SpawnRequest> = {}) =>
      sys.spawnDetached({ argv, env: {}, cwd: '/', ...more })
    await assert.rejects(start(['/no/such/program']), { code: 'ENOENT', path: '/no/such/program' })
    const text = join(dir, 'not-executable')
    writeFileSync(text, '')
    chmodSync(text, 0o644)
    await assert.rejects(start([text]), { code: 'EACCES', path: text })
    await assert.rejects(start(['/bin/true'], { cwd: '/nowhere' }), { code: 'ENOENT', path: '/nowhere' })
    assert.throws(() => void start(['true']), { code: 'EINVAL', message: /absolute/ })
    const marker = String(9_000_000 + process.pid)
    await assert.rejects(start(['/bin/sleep', marker], { timeoutMs: 50 }), { code: 'ETIMEDOUT' })
    await assert.rejects(start(['/bin/cat', '/dev/zero'], { maxOutputBytes: 1000 }), { code: 'EMSGSIZE' })
    const left = readdirSync('/proc').filter(pid => {
      return /^\d+$/.test(pid) && existsSync(`/proc/${pid}/cmdline`) && cmdline(pid).includes(marker)
    })
    assert.deepEqual(left, [])
  })
})

function cmdline(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

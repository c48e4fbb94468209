/** Layers that Gantry cannot read by itself, read by a differ that is a plugin; a container runs on them. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { Daemon } from '../daemon/daemon.ts'
import { busyboxLayer, type LayerBlob, layoutTar, makeImage, makeTar } from '../fixtures/make-image.ts'
import { gctr, refused, row, timeout } from './plugin-room.ts'

const example = join(import.meta.dirname, '../../contrib/examples/typescript-differ')
const xz = '/usr/bin/xz'
const skip = process.getuid?.() !== 0 ? 'needs root' : existsSync(xz) ? false : `${xz} is not installed`
const mediaType = 'application/vnd.oci.image.layer.v1.tar+xz'
const digestOf = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

function xzLayer(tar: Buffer, damage: (bytes: Buffer) => Buffer = bytes => bytes): LayerBlob {
  const bytes = damage(execFileSync(xz, ['-1', '--stdout'], { input: tar, maxBuffer: 64 << 20 }))
  return { mediaType, digest: digestOf(bytes), size: bytes.length, bytes, diffID: digestOf(tar) }
}

/** Imports an image of busybox and one more layer, both in xz. */
async function importXz(daemon: Daemon, name: string, damage?: (bytes: Buffer) => Buffer) {
  const upper = makeTar([{ path: 'etc/motd', content: `from ${name}\n` }])
  const image = makeImage({ layers: [xzLayer(makeTar(busyboxLayer())), xzLayer(upper, damage)] })
  const file = join(daemon.folder, `${name}.tar`)
  const reference = `test.example/${name}:1`
  await writeFile(file, layoutTar([{ image, name: reference }]))
  return { reference, args: ['images', 'import', file] }
}

test('a media type that a plugin declares is unpacked by it', { skip, timeout }, async () => {
  await using daemon = await Daemon.start()
  const { reference, args } = await importXz(daemon, 'xz')
  await refused(daemon, /tar\+xz", which cannot be unpacked/, ...args)
  await gctr(daemon, 'plugins', 'add', '--link', example)
  await gctr(daemon, ...args)
  assert.equal(await gctr(daemon, 'run', '--rm', '--net', 'none', reference, 'cat', '/etc/motd'), 'from xz\n')
  const differ = await row(daemon, 'xz')
  assert.ok(differ?.state === 'ready' && Number(differ.calls?.total) === 2 && Number(differ.calls?.errors) === 0)

  // What other media types there are is still our own work.
  await daemon.importBusybox()
  assert.equal(Number((await row(daemon, 'xz'))?.calls?.total), 2)

  const torn = await importXz(daemon, 'torn', bytes => bytes.subarray(0, -20))
  await refused(daemon, /xz: .*[Uu]nexpected end/, ...torn.args)
  await gctr(daemon, 'plugins', 'disable', 'xz')
  await gctr(daemon, 'images', 'rm', '--sync', reference)
  await refused(daemon, /which cannot be unpacked|it is disabled/, ...args)
})

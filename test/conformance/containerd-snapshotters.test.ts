/** The kit is no stricter than the contract: the snapshotters of Debian's unmodified containerd keep every rule. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { patience } from '../daemon/patience.ts'
import { runCommand } from '../daemon/run-command.ts'
import { LoopBtrfs, lackingBtrfs } from '../filesystems/loop-btrfs.ts'
import { debian, lacking } from '../interop/ctr.ts'
import { DebianContainerd } from '../interop/debian-containerd.ts'

const gctr = join(import.meta.dirname, '../../cmd/gctr/main.ts')
const timeout = 300_000 * patience
const skip = lacking(debian.ctr, debian.containerd)

/** Rules kept and rules tried. */
async function judged(containerd: DebianContainerd, snapshotter: string, ...flags: string[]): Promise<string> {
  const args = ['--kind', 'snapshotter', '--foreign', '--snapshotter', snapshotter, ...flags, containerd.address]
  const { code, stdout, stderr } = await runCommand([process.execPath, gctr, 'plugins', 'check', ...args], {
    timeoutMs: timeout,
  })
  assert.equal(code, 0, stdout + stderr)
  return /^\d+ of \d+ rules kept$/m.exec(stdout)?.[0] ?? stdout
}

test('containerd’s overlayfs and native keep the contract', { skip, timeout }, async t => {
  await using containerd = await DebianContainerd.start()
  t.diagnostic(`overlayfs: ${await judged(containerd, 'overlayfs')}`)
  t.diagnostic(`native: ${await judged(containerd, 'native', '--copies')}`)
  const { stdout } = await runCommand([debian.ctr, '--address', containerd.address, 'namespaces', 'ls', '--quiet'])
  assert.doesNotMatch(stdout, /gantry-check/, 'nothing is left there')
})

test('containerd’s btrfs keeps the contract', { skip: skip || (await lackingBtrfs()), timeout }, async t => {
  await using filesystem = await LoopBtrfs.make(1024)
  await using containerd = await DebianContainerd.start({ home: filesystem.path })
  t.diagnostic(`btrfs: ${await judged(containerd, 'btrfs')}`)
})

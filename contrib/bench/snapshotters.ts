#!/usr/bin/env node
/**
 * What a prepare, a commit and a removal cost, on each snapshotter, through gantryd and through Debian's containerd:
 * CPU time of the daemon and its plugins per call, the same client and the same btrfs below both. Root.
 *
 *     node contrib/bench/snapshotters.ts [rounds]
 */
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '#api/errors/errors.ts'
import { SnapshotsDefinition } from '#api/gen/containerd/services/snapshots/v1/snapshots.ts'
import { connect, createClient } from '#api/rpc/client.ts'
import { mount, unmount } from '#api/sys/sys.ts'
import { Daemon } from '../../test/daemon/daemon.ts'
import { LoopBtrfs } from '../../test/filesystems/loop-btrfs.ts'
import { DebianContainerd } from '../../test/interop/debian-containerd.ts'
import { cpuMsOfTree } from './cpu-time.ts'

const rounds = Number(process.argv[2] ?? 300)
const warmUp = 50
/** In the layer that everything is built on: what a copy has to copy. */
const files = 300

interface Subject {
  daemon: string
  snapshotter: string
  address: string
  pid: number
}

type Verb = 'prepare' | 'commit' | 'remove'

/** CPU milliseconds per call. */
async function measure({ snapshotter, address, pid }: Subject): Promise<Record<Verb, number>> {
  using channel = connect(address, { namespace: 'bench' })
  const client = createClient(SnapshotsDefinition, channel)
  const labels = { 'containerd.io/gc.root': 'bench' }
  const base = `base-${snapshotter}`
  const { mounts } = await client.prepare({ snapshotter, key: `${base}-key`, parent: '', labels })
  await fill(mounts)
  await client.commit({ snapshotter, name: base, key: `${base}-key`, labels })
  const spent: Record<Verb, number> = { prepare: 0, commit: 0, remove: 0 }
  const call: Record<Verb, (key: string) => Promise<unknown>> = {
    prepare: key => client.prepare({ snapshotter, key, parent: base, labels }),
    commit: key => client.commit({ snapshotter, name: `${key}-done`, key, labels }),
    remove: key => client.remove({ snapshotter, key: `${key}-done` }),
  }
  // A batch of one verb at a time: clock ticks are too coarse for one call.
  for (const [batch, count] of [['warm', warmUp] as const, ['real', rounds] as const])
    for (const verb of ['prepare', 'commit', 'remove'] as const) {
      const before = cpuMsOfTree(pid)
      for (let index = 0; index < count; index++) await call[verb](`${batch}-${index}`)
      // Deletions go on behind the answer.
      await untilIdle(pid)
      if (batch === 'real') spent[verb] = (cpuMsOfTree(pid) - before) / count
    }
  return spent
}

async function untilIdle(pid: number): Promise<void> {
  for (let before = -1, now = cpuMsOfTree(pid); now - before > 10; now = cpuMsOfTree(pid)) {
    before = now
    await sleep(300)
  }
}

async function fill(mounts: Parameters<typeof mount>[0]): Promise<void> {
  const place = await mkdtemp(join(process.env.TMPDIR ?? '/tmp', 'fill-'))
  await mount(mounts, place)
  for (let index = 0; index < files; index++) await writeFile(join(place, `file-${index}`), `${index}`.repeat(1000))
  await unmount(place)
}

/** Tests leave it out, because their folders are on no btrfs. */
async function enableBtrfs(containerd: DebianContainerd): Promise<void> {
  const path = join(containerd.folder, 'config.toml')
  const text = await readFile(path, 'utf8')
  await containerd.kill()
  await writeFile(path, text.replace('"io.containerd.snapshotter.v1.btrfs",', ''))
  await containerd.start()
}

await using fs = await LoopBtrfs.make(2048)
// Both daemons put their folders there.
process.env.TMPDIR = fs.path
const gantryd = await Daemon.start()
const containerd = await DebianContainerd.start()
await enableBtrfs(containerd)
await using _ended = {
  // Read-only subvolumes cannot be emptied file by file; they go with their file system.
  [Symbol.asyncDispose]: async () => {
    for (const daemon of [gantryd, containerd]) await daemon[Symbol.asyncDispose]().catch(() => {})
  },
}
const subjects: Subject[] = [
  ...['overlayfs', 'btrfs', 'vfs'].map(snapshotter => ({
    ...{ daemon: 'gantryd', snapshotter, address: gantryd.address, pid: gantryd.pid },
  })),
  ...['overlayfs', 'btrfs', 'native'].map(snapshotter => ({
    ...{ daemon: 'containerd', snapshotter, address: containerd.address, pid: containerd.pid },
  })),
]
console.log(`CPU ms per call, ${rounds} of each, on a layer of ${files} files`)
for (const subject of subjects) {
  const measured = await measure(subject).catch(error => messageOf(error))
  if (typeof measured === 'string') {
    console.log(`${subject.daemon.padEnd(11)}${subject.snapshotter.padEnd(11)} not measured: ${measured}`)
    continue
  }
  const { prepare, commit, remove } = measured
  const figures = [prepare, commit, remove].map(ms => ms.toFixed(2).padStart(8)).join('')
  console.log(`${subject.daemon.padEnd(11)}${subject.snapshotter.padEnd(11)}${figures}`)
}

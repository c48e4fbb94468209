/**
 * Checkpoint and restore by our own shim: under us and under Debian's containerd. Here, because CRIU does not know every
 * kernel that the other tests run on, and knows this guest's.
 */
import { join } from 'node:path'
import { test } from 'node:test'
import { Daemon } from '../daemon/daemon.ts'
import { freezeAndEnd, freezeAndGoOn } from '../interop/checkpoint-verbs.ts'
import { Ctr } from '../interop/ctr.ts'
import { DebianContainerd } from '../interop/debian-containerd.ts'
import { loadImage } from '../interop/load-image.ts'

test('under Debian’s containerd: a counter is frozen and goes on as another container', async () => {
  await using containerd = await DebianContainerd.start()
  await using ctr = new Ctr(containerd.address, containerd.folder)
  const folder = join(containerd.folder)
  const flags = ['--runtime', 'io.containerd.gantry.v1']
  const world = { ctr, image: await loadImage(ctr, folder), folder, flags }
  // Debian's ctr has options for checkpoints of runtimes called runc alone, so no --exit here.
  await freezeAndGoOn(world)
})

test('under us: a counter is frozen and goes on as another container', async () => {
  await using daemon = await Daemon.start()
  await using ctr = new Ctr(daemon.address, daemon.folder)
  const image = await patiently(() => loadImage(ctr, daemon.folder))
  const world = { ctr, image, folder: daemon.folder, flags: [] }
  await freezeAndGoOn(world)
  await freezeAndEnd(world)
})

/** The guest is slow: a snapshotter's first starts may take longer than the daemon waits for them. */
async function patiently<T>(body: () => Promise<T>, attempts = 8): Promise<T> {
  try {
    return await body()
  } catch (error) {
    if (attempts === 1) throw error
    return patiently(body, attempts - 1)
  }
}

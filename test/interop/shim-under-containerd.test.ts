/** Our shim under Debian's containerd 1.6.20: every verb, and that daemon's death in between. */
import { join } from 'node:path'
import { test } from 'node:test'
import { containerVerbs, trying } from './container-verbs.ts'
import { Ctr, debian, lacking } from './ctr.ts'
import { deathVerbs } from './death-verbs.ts'
import { DebianContainerd } from './debian-containerd.ts'
import { loadImage } from './load-image.ts'
import { Scoreboard } from './scoreboard.ts'

const shim = join(import.meta.dirname, '../../build/bin/containerd-shim-gantry-v1')
const skip = lacking(debian.ctr, debian.containerd, shim)
const runtime = ['--runtime', 'io.containerd.gantry.v1']

test('Debian’s containerd runs containers by our shim', { skip }, async t => {
  using board = new Scoreboard()
  await using containerd = await DebianContainerd.start()
  await using ctr = new Ctr(containerd.address, containerd.folder)
  const image = await loadImage(ctr, containerd.folder)
  const verb = trying(t, board, 'our shim under containerd 1.6')
  await containerVerbs(verb, { ctr, image, folder: containerd.folder, flags: runtime })
  const state = join(containerd.folder, 'state')
  await deathVerbs(verb, { daemon: containerd, ctr, image, state, flags: runtime, shim: 'containerd-shim-gantry-v1' })
})

/** Debian's ctr on our socket: containers, by our shim and by Debian's containerd-shim-runc-v2. */
import { test } from 'node:test'
import { Daemon } from '../daemon/daemon.ts'
import { containerVerbs, trying } from './container-verbs.ts'
import { Ctr, debian, lacking } from './ctr.ts'
import { loadImage } from './load-image.ts'
import { Scoreboard } from './scoreboard.ts'

const runtimes = [
  // What ctr asks for unless told otherwise: our shim stands in for it.
  { by: 'our shim', runtime: 'io.containerd.runc.v2', config: '', skip: lacking(debian.ctr) },
  {
    by: 'runc’s shim',
    runtime: 'io.containerd.runc.v2',
    config: '[containers]\nruntimes = {}\n',
    skip: lacking(debian.ctr, debian.runcShim, debian.runc),
  },
]

for (const { by, runtime, config, skip } of runtimes)
  test(`ctr runs containers on our socket by ${by}`, { skip }, async t => {
    using board = new Scoreboard()
    await using daemon = await Daemon.start({ config })
    await using ctr = new Ctr(daemon.address, daemon.folder)
    const image = await loadImage(ctr, daemon.folder)
    const world = { ctr, image, folder: daemon.folder, flags: ['--runtime', runtime] }
    await containerVerbs(trying(t, board, `ctr, ${by}`), world)
  })

/** Every command and flag of Debian's ctr 1.6, on our socket and on Debian's containerd: the two have to say the same. */
import { test } from 'node:test'
import { Daemon } from '../daemon/daemon.ts'
import { Ctr, debian, lacking, removeCgroup } from './ctr.ts'
import { DebianContainerd } from './debian-containerd.ts'
import { Scoreboard } from './scoreboard.ts'
import { contentVerbs } from './whole/content-verbs.ts'
import { exportVerbs, importVerbs, mountVerbs, storedImageVerbs } from './whole/image-verbs.ts'
import { otherVerbs } from './whole/other-verbs.ts'
import { pairing } from './whole/pair.ts'
import { registryVerbs } from './whole/registry-verbs.ts'
import { runVerbs } from './whole/run-verbs.ts'
import { Side } from './whole/side.ts'
import { snapshotVerbs } from './whole/snapshot-verbs.ts'
import { containerVerbs, taskVerbs } from './whole/task-verbs.ts'

const skip = lacking(debian.ctr, debian.containerd, debian.runcShim, debian.runc, '/usr/bin/docker-registry')

test('ctr says the same on our socket as on containerd', { skip }, async t => {
  using board = new Scoreboard()
  await using after = new AsyncDisposableStack()
  // Of containers with --cgroup '': our runtime's own, which the next one may use.
  after.defer(() => removeCgroup('gantry'))
  await using daemon = await Daemon.start()
  await using ctr = new Ctr(daemon.address, daemon.folder, `whole-a-${process.pid}`)
  await using containerd = await DebianContainerd.start()
  await using theirCtr = new Ctr(containerd.address, containerd.folder, `whole-b-${process.pid}`)
  const ours = new Side({ name: 'gantryd', ctr, folder: daemon.folder, runtime: 'io.containerd.gantry.v1' })
  const theirs = new Side({
    name: 'containerd',
    ctr: theirCtr,
    folder: containerd.folder,
    runtime: 'io.containerd.runc.v2',
  })
  const verb = pairing(t, board, 'ctr, whole', ours, theirs)
  await importVerbs(verb)
  await storedImageVerbs(verb)
  await exportVerbs(verb)
  await mountVerbs(verb)
  await registryVerbs(verb, daemon.folder)
  await contentVerbs(verb)
  await snapshotVerbs(verb)
  await runVerbs(verb)
  await taskVerbs(verb)
  await containerVerbs(verb)
  await otherVerbs(verb)
})

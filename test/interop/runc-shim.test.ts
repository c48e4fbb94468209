/** What ctr asks of Debian's containerd-shim-runc-v2 and what its death and ours do to containers, on our socket. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { Daemon } from '../daemon/daemon.ts'
import { type Try, trying } from './container-verbs.ts'
import { Ctr, debian, lacking } from './ctr.ts'
import { deathVerbs } from './death-verbs.ts'
import { loadImage } from './load-image.ts'
import { Scoreboard } from './scoreboard.ts'

const skip = lacking(debian.ctr, debian.runcShim, debian.runc)

test('containers of runc’s shim on our socket outlive us', { skip }, async t => {
  using board = new Scoreboard()
  await using daemon = await Daemon.start({ config: '[containers]\nruntimes = {}\n' })
  await using ctr = new Ctr(daemon.address, daemon.folder)
  const image = await loadImage(ctr, daemon.folder)
  const verb = trying(t, board, 'runc’s shim under us')
  await optionVerbs(verb, ctr, image, daemon.folder)
  const flags = ['--runtime', 'io.containerd.runc.v2']
  await deathVerbs(verb, { daemon, ctr, image, state: daemon.state, flags, shim: 'containerd-shim-runc-v2' })
})

test('containers of our shim, run by ctr, outlive us', { skip }, async t => {
  using board = new Scoreboard()
  await using daemon = await Daemon.start()
  await using ctr = new Ctr(daemon.address, daemon.folder)
  const image = await loadImage(ctr, daemon.folder)
  const flags = ['--runtime', 'io.containerd.gantry.v1']
  const world = { daemon, ctr, image, state: daemon.state, flags, shim: 'containerd-shim-gantry-v1' }
  await deathVerbs(trying(t, board, 'our shim under us'), world)
})

async function optionVerbs(verb: Try, ctr: Ctr, image: string, folder: string): Promise<void> {
  const run = (...flags: string[]) => ctr.ok('run', '--rm', '--fifo-dir', ctr.fifos, ...flags, image, 'c', 'echo', 'hi')
  await verb('BinaryName', async () => {
    const [binary, calls] = [join(folder, 'my-runc'), join(folder, 'calls')]
    await writeFile(binary, `#!/bin/sh\necho "$@" >> ${calls}\nexec ${debian.runc} "$@"\n`, { mode: 0o755 })
    assert.equal(await run('--runtime', 'io.containerd.runc.v2', '--runc-binary', binary), 'hi\n')
    assert.match(await readFile(calls, 'utf8'), / create .* c$/m)
    assert.match(await readFile(calls, 'utf8'), / start c$/m)
  })
  await verb('runtime by its path', async () => assert.equal(await run('--runtime', debian.runcShim), 'hi\n'))
  await verb('runtime that is not there', async () => {
    const command = ['run', '--rm', '--null-io', '--runtime', 'io.containerd.nope.v9', image, 'c', 'true']
    assert.match((await ctr.outcome(command)).stderr, /io\.containerd\.nope\.v9.*not found|containerd-shim-nope-v9/)
  })
}

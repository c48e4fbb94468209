/** `init`: Debian's tini as the first process of a container. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findInit } from '#core/spec/init.ts'
import { Daemon } from '../daemon/daemon.ts'
import { ContainerClient } from './container-client.ts'

const skip =
  findInit(process.env.PATH ?? '') === undefined && 'no docker-init here (package docker.io, or tini: tini-static)'

test('an init reaps, passes signals on and hands the exit code out', { skip }, async () => {
  await using daemon = await Daemon.start()
  const image = await daemon.importBusybox()
  using client = new ContainerClient(daemon)
  const run = (script: string) =>
    client.run({ image, init: true, networks: [{ network: 'none' }], process: { args: ['sh', '-c', script] } })
  const { stdout, exitCode } = await run('cat /proc/1/comm; echo $$; exit 7')
  assert.match(stdout, /^(docker-init|tini)[^\n]*\n([2-9]|\d\d)\n$/)
  assert.equal(exitCode, 7)
  // An orphan becomes the first process' child; a shell there would leave it a zombie.
  const zombies = await run('(sleep 0.1 &) ; sleep 0.5; cat /proc/[0-9]*/stat | grep -c ") Z" || true')
  assert.equal(zombies.stdout.trim(), '0')
})

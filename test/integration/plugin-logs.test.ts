/** What a plugin writes: kept over crashes and restarts of anybody, and never more than there is room for. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { residentBytes } from '#core/plugins/process-memory.ts'
import { Daemon } from '../daemon/daemon.ts'
import { gctr, PluginRoom, refused, row, skip, timeout, until, use } from './plugin-room.ts'

let room: PluginRoom
before(async () => {
  room = await PluginRoom.open()
})
after(() => room[Symbol.asyncDispose]())

test('logs survive a restart of gantryd; the last words of a crash are in inspect', { skip, timeout }, async () => {
  await using daemon = await Daemon.start()
  const config = JSON.stringify({ print: ['good morning', 'and more'] })
  await gctr(daemon, 'plugins', 'add', await room.folder('paper', '1.0.0'), '--config', config)
  await use(daemon, 'paper')
  process.kill((await row(daemon, 'paper'))?.pid ?? 0, 'SIGKILL')
  await until('its restart', daemon, async () => (await row(daemon, 'paper'))?.restarts === 1)
  const died = JSON.parse(await gctr(daemon, 'plugins', 'inspect', 'paper')) as {
    lastError: string
    lastWords: string[]
  }
  assert.deepEqual([died.lastError, died.lastWords], ['ended by SIGKILL', ['good morning', 'and more']])

  await until('its second life', daemon, async () => (await row(daemon, 'paper'))?.state === 'ready')
  const middle = new Date().toISOString()
  await daemon.kill()
  await daemon.start()
  const mornings = async (...flags: string[]) =>
    (await gctr(daemon, 'plugins', 'logs', 'paper', ...flags)).match(/good morning/g)?.length ?? 0
  assert.equal(await mornings(), 2, 'of the gantryd before')
  const follower = spawn('/bin/sh', ['-c', 'exec "$@"', 'sh', ...daemon.gctr('plugins', 'logs', '-f', 'paper')])
  let followed = ''
  follower.stdout.on('data', chunk => {
    followed += String(chunk)
  })
  const gone = once(follower, 'exit')
  await use(daemon, 'paper')
  await until('the third life in the follower', daemon, async () => followed.match(/and more/g)?.length === 3)
  follower.kill()
  await gone
  assert.equal(await mornings(), 3)
  assert.equal(await mornings('--tail', '1'), 0)
  assert.equal(await mornings('--tail', '2'), 1)
  assert.equal(await mornings('--since', middle), 1)
  assert.equal(await mornings('--since', '1h'), 3)
  await refused(daemon, /--since "yesterday" is no duration/, 'plugins', 'logs', 'paper', '--since', 'yesterday')
  await gctr(daemon, 'plugins', 'rm', '--purge', 'paper')
  assert.deepEqual(
    readdirSync(join(daemon.root, 'plugin-logs')).filter(name => name.includes('paper')),
    [],
  )
})

test('a plugin that floods its stderr fills neither disk nor memory, and nobody else waits', {
  skip,
  timeout,
}, async t => {
  await using daemon = await Daemon.start()
  await gctr(daemon, 'plugins', 'add', await room.folder('loud', '1.0.0'), '--config', '{"flood":true}')
  await gctr(daemon, 'plugins', 'add', await room.folder('calm', '1.0.0'))
  await use(daemon, 'loud')
  const before = residentBytes(daemon.pid)
  for (let round = 0; round < 5; round++) {
    await use(daemon, 'calm')
    await sleep(500)
  }
  const grown = residentBytes(daemon.pid) - before
  const bytes = ['', '.1'].map(
    suffix =>
      statSync(join(daemon.root, `plugin-logs/network-loud.log${suffix}`), { throwIfNoEntry: false })?.size ?? 0,
  )
  t.diagnostic(`gantryd grew by ${Math.round(grown / 1e6)} MB, the log is ${Math.round((bytes[0] ?? 0) / 1e6)} MB`)
  assert.ok(grown < 120e6, `gantryd grew by ${grown} bytes`)
  assert.ok(
    bytes.every(size => size < 6e6),
    bytes.join(),
  )
  assert.match(await gctr(daemon, 'plugins', 'logs', 'loud', '--tail', '5000'), /warn +\d+ lines were left out/)
  assert.equal((await row(daemon, 'calm'))?.calls?.errors, 0n)
  await gctr(daemon, 'plugins', 'disable', 'loud')
  assert.equal((await row(daemon, 'loud'))?.pid, 0)
})

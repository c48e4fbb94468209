/** A plugin's life under a whole gantryd, by gctr: nothing is ever restarted for it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir, rename, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { PluginsServiceDefinition } from '#api/gen/gantry/services/plugins/v1/plugins.ts'
import { connect, createClient } from '#api/rpc/client.ts'
import { Daemon } from '../daemon/daemon.ts'
import { gctr, PluginRoom, refused, row, skip, timeout, until, use } from './plugin-room.ts'

let room: PluginRoom
before(async () => {
  room = await PluginRoom.open()
})
after(() => room[Symbol.asyncDispose]())

test('dropped, used, changed and taken away, while gantryd runs', { skip, timeout }, async () => {
  await using daemon = await Daemon.start()
  const directory = join(daemon.root, 'plugins')
  const dropped = await room.folder('paper', '1.0.0')
  await rename(dropped, join(directory, 'paper'))
  await until('the drop', daemon, async () => (await row(daemon, 'paper'))?.state === 'idle')
  await use(daemon, 'paper')
  const first = await row(daemon, 'paper')
  assert.ok(first && first.state === 'ready' && first.pid > 0 && first.memoryBytes > 1024 * 1024)
  assert.ok(first.calls && first.calls.total >= 2n && first.calls.errors === 0n && first.calls.p99Ms > 0)

  await rename(await room.folder('paper', '1.1.0'), join(directory, 'newer'))
  await until(
    'the newer one',
    daemon,
    async () => (await row(daemon, 'paper'))?.origin === join(directory, 'newer/plugin.toml'),
  )
  await until('its process', daemon, async () => (await row(daemon, 'paper'))?.swaps === 1)
  await use(daemon, 'paper')

  await rename(join(directory, 'newer/plugin.toml'), join(directory, 'newer/plugin.toml.old'))
  await until(
    'the older one',
    daemon,
    async () => (await row(daemon, 'paper'))?.origin === join(directory, 'paper/plugin.toml'),
  )
  await writeFile(join(directory, 'bad.toml'), 'id = "Bad"')
  await until('the fault', daemon, async () =>
    /bad\.toml: .*id: must be/.test((await daemon.run('plugins', 'ls')).stderr),
  )
  await rm(join(directory, 'paper'), { recursive: true })
  await until('its end', daemon, async () => (await row(daemon, 'paper')) === undefined)
})

test('the verbs of gctr', { skip, timeout }, async () => {
  await using daemon = await Daemon.start()
  const config = JSON.stringify({ print: ['good morning'] })
  await refused(
    daemon,
    /configuration of network "paper": .*\(size\)/,
    'plugins',
    'add',
    await room.folder('paper', '1.0.0'),
    '--config',
    '{"size":1}',
  )
  assert.match(
    await gctr(daemon, 'plugins', 'add', await room.folder('paper', '1.0.0'), '--config', config),
    /^network\/paper /,
  )
  await refused(daemon, /already exists/, 'plugins', 'add', await room.folder('paper', '1.0.0'))
  await use(daemon, 'paper')
  assert.match(await gctr(daemon, 'plugins', 'logs', 'paper'), /info +good morning/)

  await refused(
    daemon,
    /failed its trial: .*exited with code 1/,
    'plugins',
    'upgrade',
    await room.folder('paper', '2.0.0', { argv: ['/bin/false'] }),
  )
  await use(daemon, 'paper')
  await gctr(daemon, 'plugins', 'upgrade', await room.folder('paper', '2.1.0'))
  const at = async () => /network-paper-([\d.]+)\/plugin\.toml$/.exec((await row(daemon, 'paper'))?.origin ?? '')?.[1]
  assert.equal(await at(), '2.1.0')
  await gctr(daemon, 'plugins', 'rollback', 'network/paper')
  assert.equal(await at(), '1.0.0')
  await gctr(daemon, 'plugins', 'upgrade', 'paper', '--to', '2.1.0')
  assert.equal(await at(), '2.1.0')
  await refused(
    daemon,
    /version 7 of network "paper" \(there are: 1\.0\.0, 2\.1\.0\)/,
    'plugins',
    'upgrade',
    'paper',
    '--to',
    '7',
  )

  await gctr(daemon, 'plugins', 'disable', 'paper')
  assert.deepEqual([(await row(daemon, 'paper'))?.state, (await row(daemon, 'paper'))?.pid], ['disabled', 0])
  await refused(daemon, /it is disabled/, 'networks', 'create', '--driver', 'paper', 'n2')
  await daemon.stop()
  await daemon.start()
  assert.equal((await row(daemon, 'paper'))?.state, 'disabled')
  assert.equal(await at(), '2.1.0')
  await gctr(daemon, 'plugins', 'enable', 'paper')

  await gctr(daemon, 'networks', 'create', '--driver', 'paper', 'n3')
  await refused(daemon, /"paper" is in use: network "n3"/, 'plugins', 'rm', 'paper')
  await gctr(daemon, 'networks', 'rm', 'n3')
  const inspected = JSON.parse(await gctr(daemon, 'plugins', 'inspect', 'paper')) as { methods: { method: string }[] }
  assert.ok(inspected.methods.some(({ method }) => method === 'CreateNetwork'))
  await gctr(daemon, 'plugins', 'rm', 'paper', '--purge')
  assert.equal(await row(daemon, 'paper'), undefined)
  assert.deepEqual(await readdir(join(daemon.root, 'plugins')), [])
  await refused(daemon, /was not added with gctr/, 'plugins', 'rm', 'overlayfs')
})

test('gantryd killed in the middle of an upgrade: one of the two versions runs', { skip, timeout }, async t => {
  const daemon = await Daemon.start()
  const seen: string[] = []
  try {
    await gctr(daemon, 'plugins', 'add', await room.folder('paper', '1.0.0'))
    await use(daemon, 'paper')
    let version = 1
    for (const delayMs of [5, 120, 500, 1500]) {
      const upgrade = daemon.run('plugins', 'upgrade', await room.folder('paper', `${++version}.0.0`))
      await until('its arrival', daemon, async () =>
        (await readdir(join(daemon.root, 'plugins'))).some(
          name => name.startsWith('.incoming-') || name.includes(`-${version}.`),
        ),
      )
      await sleep(delayMs)
      await daemon.kill()
      const { code } = await upgrade
      await daemon.start()
      const origin = (await row(daemon, 'paper'))?.origin ?? ''
      const now = Number(/network-paper-(\d+)\.0\.0\/plugin\.toml$/.exec(origin)?.[1])
      seen.push(`${delayMs} ms: ${now === version ? 'new' : 'old'}`)
      assert.ok(now <= version && now > 0, origin)
      if (code === 0) assert.equal(now, version, 'what was answered is so')
      assert.ok((await readdir(join(daemon.root, 'plugins'))).every(name => !name.startsWith('.')))
      await use(daemon, 'paper')
    }
  } finally {
    t.diagnostic(seen.join(', '))
    await daemon[Symbol.asyncDispose]()
    await rm(daemon.folder, { recursive: true, force: true })
  }
})

test('calls are traced and counted', { skip, timeout }, async () => {
  const port = await freePort()
  await using daemon = await Daemon.start({ config: `[metrics]\naddress = "127.0.0.1:${port}"\n` })
  await gctr(daemon, 'plugins', 'add', await room.folder('paper', '1.0.0'))
  using channel = connect(daemon.address)
  const stop = new AbortController()
  const traced: string[] = []
  const tracing = (async () => {
    for await (const call of createClient(PluginsServiceDefinition, channel).trace(
      { id: 'paper' },
      { signal: stop.signal },
    ))
      traced.push(`${call.kind}/${call.id} ${call.method} ${call.outcome} ${call.durationMs > 0}`)
  })().catch(error => assert.ok(stop.signal.aborted, String(error)))
  await until('a traced call', daemon, async () => {
    await use(daemon, 'paper')
    return traced.includes('network/paper CreateNetwork OK true')
  })
  stop.abort()
  await tracing
  const text = await (await fetch(`http://127.0.0.1:${port}/v1/metrics`)).text()
  assert.match(
    text,
    /gantry_plugin_calls_total\{kind="network",plugin="paper",method="CreateNetwork",outcome="OK"\} \d+/,
  )
  assert.match(
    text,
    /gantry_plugin_call_seconds_bucket\{le="10",kind="network",plugin="paper",method="CreateNetwork"\} \d+/,
  )
  assert.match(text, /gantry_plugin_up\{kind="network",plugin="paper",version="[^"]*"\} 1/)
  assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 404)
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : assert.fail('no port')
}

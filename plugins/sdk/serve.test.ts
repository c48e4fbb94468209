/** A plugin process from its start to its end, seen from outside. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, statSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { PluginServiceDefinition } from '#api/gen/gantry/plugin/v1/plugin.ts'
import { HealthDefinition } from '#api/gen/grpc/health/v1/health.ts'
import { connect, createClient } from '#api/rpc/client.ts'

const timeout = 30_000

/** A whole plugin: its `check` of the health service is joined by a call that takes as long as its configuration says. */
const source = (home: string) => `
import { service } from ${JSON.stringify(join(import.meta.dirname, 'plugin.ts'))}
import { serve } from ${JSON.stringify(join(import.meta.dirname, 'serve.ts'))}
import { NetworkPluginServiceDefinition } from ${JSON.stringify(join(import.meta.dirname, '../../api/gen/gantry/network/v1/network.ts'))}
import { writeFileSync } from 'node:fs'
await serve({
  kind: 'network', id: 'slow', version: '2.0.0', capabilities: ['x'], configSchema: { type: 'object' },
  parseConfig: raw => raw,
  async create({ config, root }) {
    const status = () => new Promise(done => setTimeout(() => done({}), config.callMs))
    return { services: [service(NetworkPluginServiceDefinition, { status })], exports: { root }, close: async () => writeFileSync(${JSON.stringify(join(home, 'closed'))}, '') }
  },
})`

async function withPlugin(
  options: { callMs?: number; watchStdin?: boolean },
  body: (plugin: { child: ChildProcess; home: string; address: string; launch(): ChildProcess }) => Promise<void>,
): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), 'gantry-serve-'))
  const [main, address] = [join(home, 'main.ts'), join(home, 's.sock')]
  writeFileSync(main, source(home))
  const args = [
    main,
    '--address',
    address,
    '--root',
    join(home, 'root'),
    '--config',
    JSON.stringify({ callMs: options.callMs ?? 0 }),
  ]
  const env = { ...process.env, ...(options.watchStdin && { GANTRY_PLUGIN_WATCH_STDIN: '1' }) }
  const launch = () => spawn(process.execPath, args, { env, stdio: ['pipe', 'ignore', 'pipe'] })
  const child = launch()
  child.stderr?.resume()
  try {
    while (!(existsSync(address) && (await serves(address)))) {
      assert.equal(child.exitCode, null)
      await sleep(10)
    }
    await body({ child, home, address, launch })
  } finally {
    child.kill('SIGKILL')
    await rm(home, { recursive: true, force: true })
  }
}

async function serves(address: string): Promise<boolean> {
  using channel = connect(address)
  return await createClient(HealthDefinition, channel)
    .check({ service: 'gantry.network.v1.NetworkPluginService' })
    .then(
      ({ status }) => status === 1,
      () => false,
    )
}

test('it says who it is, on a private socket', { timeout }, () =>
  withPlugin({}, async ({ address, home }) => {
    using channel = connect(address)
    const info = await createClient(PluginServiceDefinition, channel).getInfo({})
    assert.deepEqual(info, {
      kind: 'network',
      id: 'slow',
      version: '2.0.0',
      capabilities: ['x'],
      configSchemaJson: '{"type":"object"}',
      exports: { root: join(home, 'root') },
    })
    assert.equal(statSync(address).mode & 0o777, 0o600)
    assert.equal(statSync(join(home, 'root')).mode & 0o777, 0o700)
    await assert.rejects(createClient(HealthDefinition, channel).check({ service: 'nobody' }), { code: 'NOT_FOUND' })
  }),
)

test('SIGTERM lets the calls in flight end', { timeout }, () =>
  withPlugin({ callMs: 600 }, async ({ child, address, home }) => {
    using channel = connect(address)
    const { NetworkPluginServiceDefinition } = await import('#api/gen/gantry/network/v1/network.ts')
    const call = createClient(NetworkPluginServiceDefinition, channel).status({})
    await sleep(200)
    child.kill('SIGTERM')
    assert.deepEqual(await call, {})
    assert.deepEqual(await once(child, 'exit'), [0, null])
    assert.ok(existsSync(join(home, 'closed')), 'close() ran')
    assert.equal(existsSync(address), false, 'the socket is gone')
  }),
)

test('the end of its stdin is the end of its parent', { timeout }, () =>
  withPlugin({ watchStdin: true }, async ({ child }) => {
    child.stdin?.end()
    assert.deepEqual(await once(child, 'exit'), [0, null])
  }),
)

test('without a supervisor stdin means nothing', { timeout }, () =>
  withPlugin({}, async ({ child, address }) => {
    child.stdin?.end()
    await sleep(200)
    assert.ok(await serves(address))
    assert.equal(child.exitCode, null)
  }),
)

test('a second process waits for the root, and serves when it is free', { timeout }, () =>
  withPlugin({}, async ({ child, address, launch }) => {
    const second = launch()
    second.stderr?.resume()
    try {
      await sleep(500)
      assert.equal(second.exitCode, null)
      assert.ok(await serves(address), 'the first is not disturbed')
      child.kill('SIGKILL')
      await once(child, 'exit')
      for (let tries = 0; !(await serves(address)); tries++) {
        assert.ok(tries < 500)
        await sleep(10)
      }
    } finally {
      second.kill('SIGKILL')
      await once(second, 'exit')
    }
  }),
)

test('what cannot start says why, in one line', { timeout }, async () => {
  const home = await mkdtemp(join(tmpdir(), 'gantry-serve-'))
  try {
    writeFileSync(join(home, 'main.ts'), source(home))
    const child = spawn(process.execPath, [join(home, 'main.ts'), '--root', home], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')])
    assert.equal(code, 1)
    assert.equal(said, 'gantry-network-slow: neither --address nor GANTRY_PLUGIN_ADDRESS is given: invalid argument\n')
  } finally {
    await rm(home, { recursive: true, force: true })
  }
})

/** Supervision with real processes: starts, deaths, back-off, hanging, stops. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { PluginsServiceDefinition } from '#api/gen/gantry/services/plugins/v1/plugins.ts'
import { createLogger } from '#api/log/log.ts'
import { connect, createClient } from '#api/rpc/client.ts'
import { createRpcServer } from '#api/rpc/server.ts'
import { processAlive } from '#api/sys/sys.ts'
import { pluginsService } from './service.ts'
import { supervise } from './testing/supervised.ts'
import { backOffAfter, defaultTiming } from './timing.ts'

const timeout = 60_000

/** For a table nobody changes. */
const noAdministration = { faults: [] } as unknown as Parameters<typeof pluginsService>[1]

async function until(what: string, holds: () => boolean, ms = 10_000): Promise<void> {
  for (const deadline = Date.now() + ms; !holds(); await sleep(5))
    if (Date.now() > deadline) assert.fail(`${what} did not come about within ${ms} ms`)
}

test('a plugin starts with its first use, once for all who wait', { timeout }, async () => {
  await using s = await supervise([{ id: 'one' }, { id: 'two' }])
  assert.deepEqual(
    s.plugins.list().map(row => [row.id, row.state, row.pid]),
    [
      ['one', 'idle', 0],
      ['two', 'idle', 0],
    ],
  )
  const channels = await Promise.all(Array.from({ length: 10 }, () => s.plugins.channelFor('network', 'one')))
  assert.equal(new Set(channels).size, 1)
  const row = s.row('one')
  assert.deepEqual(
    [row.state, row.restarts, row.version, row.capabilities, row.lastError],
    ['ready', 0, '9.9.9', ['sampled'], ''],
  )
  assert.ok(processAlive(row.pid))
  assert.equal(s.row('two').state, 'idle')
})

test('an unknown plugin is NOT_FOUND, naming those there are', async () => {
  await using s = await supervise([{ id: 'one' }, { id: 'two' }])
  await assert.rejects(s.plugins.channelFor('network', 'three'), {
    code: 'NOT_FOUND',
    message: /"three" \(there are: one, two\)/,
  })
  assert.throws(() => s.plugins.snapshotter('one'), { code: 'NOT_FOUND', message: /there are: none/ })
})

test('a killed plugin comes back by itself, later each time, until it is given up', { timeout }, async () => {
  const timing = { backOffMs: 40, maxFailures: 3, backOffCapMs: 700, callWaitMs: 600 }
  await using s = await supervise([{ id: 'one' }], { timing })
  await s.plugins.channelFor('network', 'one')
  for (const restarts of [1, 2]) {
    const { pid } = s.row('one')
    process.kill(pid, 'SIGKILL')
    await until('back-off', () => s.row('one').state === 'back-off')
    assert.equal(s.row('one').lastError, 'ended by SIGKILL')
    await until('restart', () => s.row('one').state === 'ready')
    assert.notEqual(s.row('one').pid, pid)
    assert.equal(s.row('one').restarts, restarts)
  }
  process.kill(s.row('one').pid, 'SIGKILL')
  await until('giving up', () => s.row('one').state === 'failed')
  await assert.rejects(s.plugins.channelFor('network', 'one'), {
    code: 'UNAVAILABLE',
    message: /network "one" is out of order after 3 failures.*ended by SIGKILL/,
  })
  await sleep(800)
  assert.equal(s.row('one').state, 'failed', 'nothing starts unasked')
  await s.plugins.channelFor('network', 'one')
  assert.equal(s.row('one').state, 'ready')
})

test('back-off doubles up to its cap', () => {
  assert.deepEqual(
    [1, 2, 3, 4, 20].map(failures => backOffAfter(failures, defaultTiming)),
    [100, 200, 400, 800, 30_000],
  )
})

test('what cannot be executed says so', async () => {
  await using s = await supervise([{ id: 'one', argv: ['/nonexistent/plugin'] }])
  await assert.rejects(s.plugins.channelFor('network', 'one'), {
    code: 'UNAVAILABLE',
    message: /network "one" could not be started: cannot execute "\/nonexistent\/plugin".*ENOENT/,
  })
  assert.match(s.row('one').lastError, /ENOENT/)
  assert.equal(s.row('one').pid, 0)
})

test('what ends at once says how', async () => {
  await using s = await supervise([{ id: 'one', argv: ['/bin/sh', '-c', 'echo no such luck >&2; exit 3'] }])
  await assert.rejects(s.plugins.channelFor('network', 'one'), {
    code: 'UNAVAILABLE',
    message: /it exited with code 3 before it served \(no such luck\)/,
  })
  assert.ok(s.lines.some(line => line.message === 'no such luck' && line.fields.plugin === 'network/one'))
})

for (const behaviour of ['silent', 'unhealthy'])
  test(`a start that hangs (${behaviour}) is cut off`, { timeout }, async () => {
    await using s = await supervise([{ id: 'one', config: { [behaviour]: true, deaf: true } }], {
      timing: { startMs: 700, maxFailures: 1 },
    })
    const starting = s.plugins.channelFor('network', 'one')
    await until('spawn', () => s.row('one').pid !== 0)
    const { pid } = s.row('one')
    await assert.rejects(starting, { code: 'UNAVAILABLE', message: /did not pass its health check within 700 ms/ })
    assert.equal(processAlive(pid), false)
  })

test('a plugin that is another one is refused', { timeout }, async () => {
  await using s = await supervise([{ id: 'one', config: { sayId: 'other' } }])
  await assert.rejects(s.plugins.channelFor('network', 'one'), {
    code: 'UNAVAILABLE',
    message: /it says it is the network "other"/,
  })
})

test('a server with neither health nor identity is taken as it is', { timeout }, async () => {
  await using s = await supervise([{ id: 'one', config: { bare: true } }])
  await s.plugins.channelFor('network', 'one')
  assert.equal(s.row('one').version, '')
})

test('a plugin that hangs later is ended and started anew', { timeout }, async () => {
  await using s = await supervise([{ id: 'one' }], { timing: { checkEveryMs: 500, checkMs: 400 } })
  await s.plugins.channelFor('network', 'one')
  const { pid } = s.row('one')
  process.kill(pid, 'SIGSTOP')
  await until('restart', () => s.row('one').restarts >= 1 && s.row('one').state === 'ready')
  assert.equal(processAlive(pid), false)
  assert.match(s.row('one').lastError, /hung/)
})

test('stop goes backwards, and past those who ignore it', { timeout }, async () => {
  const home = await mkdtemp(join(tmpdir(), 'gantry-sup-'))
  try {
    const journal = join(home, 'journal')
    await using s = await supervise(
      [
        { id: 'a', config: { journal } },
        { id: 'b', config: { journal } },
        { id: 'c', config: { journal } },
        { id: 'deaf', config: { deaf: true } },
      ],
      { timing: { stopMs: 300 } },
    )
    for (const id of ['b', 'deaf', 'c', 'a']) await s.plugins.channelFor('network', id)
    const pids = s.plugins.list().map(row => row.pid)
    const before = Date.now()
    await s.plugins.stop()
    assert.ok(Date.now() - before < 2_000)
    assert.deepEqual(readFileSync(journal, 'utf8').trim().split('\n'), [
      'b start',
      'c start',
      'a start',
      'a end',
      'c end',
      'b end',
    ])
    for (const pid of pids) assert.equal(processAlive(pid), false)
    assert.ok(s.plugins.list().every(row => row.state === 'stopped' && row.pid === 0))
    await assert.rejects(s.plugins.channelFor('network', 'a'), { code: 'UNAVAILABLE', message: /gantryd is stopping/ })
  } finally {
    await rm(home, { recursive: true, force: true })
  }
})

test('a stop in the middle of a start leaves nothing', { timeout }, async () => {
  await using s = await supervise([{ id: 'one', config: { silent: true } }])
  const starting = assert.rejects(s.plugins.channelFor('network', 'one'), {
    code: 'UNAVAILABLE',
    message: /gantryd is stopping/,
  })
  await until('spawn', () => s.row('one').pid !== 0)
  const { pid } = s.row('one')
  await s.plugins.stop()
  await starting
  assert.equal(processAlive(pid), false)
})

test('what a plugin prints is logged under its name', { timeout }, async () => {
  const print = [
    'plain words',
    '{"level":40,"time":1,"pid":2,"name":"x","msg":"careful","port":80}',
    '{not json',
    `${'y'.repeat(40_000)}`,
  ]
  await using s = await supervise([{ id: 'one', config: { print } }])
  await s.plugins.channelFor('network', 'one')
  await until('the last line', () => s.lines.some(line => line.message.startsWith('yyy')))
  const told = (message: string) => s.lines.find(line => line.message === message)
  assert.deepEqual(told('plain words'), { level: 'info', message: 'plain words', fields: { plugin: 'network/one' } })
  assert.deepEqual(told('careful'), { level: 'warn', message: 'careful', fields: { plugin: 'network/one', port: 80 } })
  assert.ok(told('{not json'))
  assert.equal(s.lines.find(line => line.message.startsWith('yyy'))?.message.length, 32 * 1024)
})

test('tools can query the table', { timeout }, async () => {
  await using s = await supervise([
    { id: 'one' },
    { id: 'two', argv: ['/nonexistent'] },
    { id: 'far', address: '/nonexistent.sock' },
  ])
  await s.plugins.channelFor('network', 'one')
  await assert.rejects(s.plugins.channelFor('network', 'two'))
  await assert.rejects(s.plugins.channelFor('network', 'far'), {
    code: 'UNAVAILABLE',
    message: /network "far" at \/nonexistent.sock/,
  })
  const server = createRpcServer({ logger: createLogger({ name: 'test', level: 'silent' }) })
  server.add(PluginsServiceDefinition, pluginsService(s.plugins, noAdministration))
  const address = join(s.home, 'd.sock')
  await server.listen(address)
  try {
    using channel = connect(address)
    const { plugins } = await createClient(PluginsServiceDefinition, channel).list({})
    assert.deepEqual(
      plugins.map(({ id, state, external }) => [id, state, external]),
      [
        ['far', 5, true],
        ['one', 3, false],
        ['two', 4, false],
      ],
    )
    const one = plugins[1]
    assert.ok(one && one.pid > 0 && one.startedAt && Math.abs(Number(one.startedAt.seconds) - Date.now() / 1000) < 30)
  } finally {
    await server.shutdown(100)
  }
})

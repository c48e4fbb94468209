/** The core's records of networks and attachments, in front of real plugin processes. */
import assert from 'node:assert/strict'
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { notFound } from '#api/errors/errors.ts'
import { createLogger } from '#api/log/log.ts'
import { openStore, type Store } from '#api/store/store.ts'
import { Metadata } from '#core/metadata/metadata.ts'
import type { NetworkBackend } from '#core/networks/backend.ts'
import { createNetworks, type Networks } from '#core/networks/networks.ts'
import { inPrivateHost } from '#sdk/network-private.ts'
import { fails, openNetwork } from '#sdk/network-suite.ts'
import { type PluginProcess, run, World } from './networks-world.ts'

const tcp = (hostPort: number) => ({ protocol: 'tcp', hostPort, containerPort: 80, hostIp: '', count: 1 })

if (inPrivateHost(fileURLToPath(import.meta.url))) {
  let world: World
  let bridge: PluginProcess
  let store: Store
  let networks: Networks

  const openNetworks = () =>
    createNetworks({
      metadata: new Metadata(store),
      logger: createLogger({ name: 'core', level: 'silent' }),
      backends: (driver): NetworkBackend => {
        if (driver !== 'bridge') throw notFound(`network plugin "${driver}"`)
        return bridge.client
      },
    })

  before(async () => {
    world = await World.create()
    bridge = await world.plugin('d4d4d4d4')
    store = openStore(mkdtempSync(join(world.dir, 'meta-')))
  })
  beforeEach(() => {
    networks = openNetworks()
  })
  after(async () => {
    await networks.reconcile([])
    await store.close()
    await world[Symbol.asyncDispose]()
  })

  test('the built-in networks are everywhere, and the same', async () => {
    const [one, two] = [await networks.list('one'), await networks.list('two')]
    assert.deepEqual(
      one.map(({ network, driver }) => [network.name, driver]),
      [
        ['bridge', 'bridge'],
        ['host', 'host'],
        ['none', 'none'],
      ],
    )
    assert.deepEqual(
      one.map(({ network }) => network.id),
      two.map(({ network }) => network.id),
    )
    await assert.rejects(networks.remove('one', 'bridge'), fails('FAILED_PRECONDITION', /built in/))
    await assert.rejects(networks.create('one', { name: 'host' }), fails('ALREADY_EXISTS', /"host"/))
  })

  test('a container of each tenant may have the same id on the same network', async () => {
    const [a] = await networks.attach('one', 'c1', await world.namespace('one-c1'), [{ network: 'bridge' }])
    const [b] = await networks.attach('two', 'c1', await world.namespace('two-c1'), [{ network: 'bridge' }])
    assert.notEqual(a?.result.ips[0]?.address, b?.result.ips[0]?.address)
    assert.deepEqual(await networks.attachments('one', 'c1'), [a])
    assert.deepEqual((await networks.get('two', 'bridge')).attachments, [b])
    await networks.detach('one', 'c1')
    await networks.detach('one', 'c1')
    assert.deepEqual(await networks.attachments('one', 'c1'), [])
    assert.deepEqual(await networks.attachments('two', 'c1'), [b])
    await networks.detach('two', 'c1')
  })

  test('several networks: one default route, all or none', async () => {
    await networks.create('one', { name: 'blue' })
    await networks.create('one', { name: 'inner', internal: true })
    const netns = await world.namespace('several')
    const wishes = [{ network: 'inner' }, { network: 'blue', ports: [tcp(8080)] }, { network: 'bridge' }]
    const made = await networks.attach('one', 'c1', netns, wishes)
    assert.deepEqual(
      made.map(({ interfaceName, networkName }) => [interfaceName, networkName]),
      [
        ['eth0', 'inner'],
        ['eth1', 'blue'],
        ['eth2', 'bridge'],
      ],
    )
    assert.deepEqual(
      made.map(({ result }) => result.routes.map(({ dst, priority }) => `${dst} ${priority}`)),
      [[], ['0.0.0.0/0 100001', '::/0 100001'], ['0.0.0.0/0 100002', '::/0 100002']],
    )
    assert.deepEqual(await networks.attach('one', 'c1', netns, wishes), made)
    await assert.rejects(networks.remove('one', 'blue'), fails('FAILED_PRECONDITION', /c1/))

    const other = await world.namespace('other')
    const clash = [{ network: 'bridge' }, { network: 'blue', ports: [tcp(8080)] }]
    await assert.rejects(networks.attach('one', 'c2', other, clash), fails('ALREADY_EXISTS', /8080.*container one\/c1/))
    assert.deepEqual(await networks.attachments('one', 'c2'), [])
    assert.doesNotMatch(world.in(other, 'ip', '-br', 'link'), /eth/)
    await assert.rejects(networks.attach('one', 'c2', other, [{ network: 'nope' }]), fails('NOT_FOUND', /"nope"/))
    await assert.rejects(
      networks.sharesHost('one', [{ network: 'host' }, { network: 'blue' }]),
      fails('INVALID_ARGUMENT', /combined/),
    )
    assert.equal(await networks.sharesHost('one', [{ network: 'host' }]), true)

    await networks.detach('one', 'c1', 'blue')
    assert.equal((await networks.attachments('one', 'c1')).length, 2)
    await networks.detach('one', 'c1')
    for (const name of ['blue', 'inner']) await networks.remove('one', name)
    await assert.rejects(networks.get('one', 'blue'), fails('NOT_FOUND', /"blue"/))
  })

  test('join, publish, rename, unpublish; what is wrong is told', async () => {
    await networks.create('one', { name: 'pink' })
    const netns = await world.namespace('joins')
    await networks.attach('one', 'j', netns, [{ network: 'bridge' }], { wishes: { name: 'jay' } })
    const joined = await networks.join('one', 'j', netns, { network: 'pink', aliases: ['x'], gatewayPriority: 5 })
    assert.deepEqual([joined.interfaceName, joined.names], ['eth1', ['x', 'j']])
    assert.deepEqual(
      joined.result.routes.map(({ priority }) => priority),
      [99_501, 99_501],
    )
    const open = await networks.publish('one', 'j', undefined, [tcp(8090)])
    assert.deepEqual(
      open.map(({ hostIp }) => hostIp),
      ['0.0.0.0', '::'],
    )
    assert.equal((await networks.get('one', 'pink')).attachments[0]?.result.ports.length, 2)
    await networks.rename('one', 'j', 'kay')
    assert.deepEqual((await networks.attachments('one', 'j'))[0]?.names, ['kay', 'j'])
    assert.deepEqual(await networks.check('one', 'pink'), [])
    world.in(netns, 'ip', 'link', 'del', 'eth1')
    assert.match((await networks.check('one', 'pink')).join(), /attachment of one\/j: link .* is missing/)
    assert.deepEqual(await networks.unpublish('one', 'j', undefined, []), [])
    await assert.rejects(networks.publish('one', 'nobody', undefined, [tcp(1)]), fails('FAILED_PRECONDITION', /nobody/))
    await networks.detach('one', 'j')
    await networks.remove('one', 'pink')
  })

  test('collect: what belongs to nobody is named, then goes; what may be in the making stays', async () => {
    await networks.attach('one', 'kept', await world.namespace('collect-kept'), [{ network: 'bridge' }])
    await networks.attach('one', 'ghost', await world.namespace('collect-ghost'), [{ network: 'bridge' }])
    const lost = await bridge.plugin.createNetwork(openNetwork('e', { name: 'lost' }))
    await world.attach(bridge.plugin, lost, 'nobody')
    run('ip', 'link', 'add', 'gtd4d4d4v99', 'type', 'veth', 'peer', 'name', 'gtd4d4d4v98')
    const isAlive = async ({ containerId }: { containerId: string }) => containerId !== 'ghost'
    const named = await networks.collect({ isAlive, dryRun: true })
    const wanted = [
      /attachment of one\/ghost \(eth0\)/,
      /bridge: network "lost" \(eeeeeeeeeeee\) that has no record/,
      /bridge: link gtd4d4d4v99/,
    ]
    for (const line of wanted)
      assert.ok(
        named.some(text => line.test(text)),
        `${line} is among ${named.join('; ')}`,
      )
    assert.equal((await networks.attachments('one', 'ghost')).length, 1, 'a dry run changes nothing')
    const removed = await networks.collect({ isAlive, dryRun: false })
    for (const line of wanted)
      assert.ok(
        removed.some(text => line.test(text)),
        `${line} is among ${removed.join('; ')}`,
      )
    assert.deepEqual(await networks.attachments('one', 'ghost'), [])
    assert.equal((await networks.attachments('one', 'kept')).length, 1)
    assert.deepEqual(await networks.check('one', 'bridge'), [])
    assert.deepEqual(await networks.collect({ isAlive, dryRun: false }), [])
    await networks.detach('one', 'kept')
  })

  test('found by name, id and prefix; only in its own namespace', async () => {
    const { network } = await networks.create('one', { name: 'green', labels: { a: 'b' } })
    for (const wanted of ['green', network.id, network.id.slice(0, 12)])
      assert.deepEqual((await networks.get('one', wanted)).network, network)
    for (const wanted of ['green', network.id]) await assert.rejects(networks.get('two', wanted), fails('NOT_FOUND'))
    await assert.rejects(networks.create('one', { name: 'green' }), fails('ALREADY_EXISTS', /"green"/))
    await assert.rejects(networks.create('one', { name: 'x', driver: 'ovs' }), fails('NOT_FOUND', /"ovs"/))
    await assert.rejects(networks.create('one', { name: 'x', options: { y: '1' } }), fails('INVALID_ARGUMENT', /"y"/))
    await assert.rejects(networks.get('one', 'x'), fails('NOT_FOUND'))
    await networks.remove('one', 'green')
  })

  test('a plugin that cannot be reached: detach stays owed, and the next start pays', async () => {
    const before = run('nft', 'list', 'ruleset')
    const [kept] = await networks.attach('one', 'kept', await world.namespace('kept'), [{ network: 'bridge' }])
    await networks.attach('one', 'gone', await world.namespace('gone'), [{ network: 'bridge', ports: [tcp(8080)] }])
    await bridge.kill()
    await assert.rejects(networks.detach('one', 'gone'), fails('UNAVAILABLE'))
    assert.deepEqual(await networks.attachments('one', 'gone'), [])
    await bridge.start()
    networks = openNetworks()
    await networks.reconcile([{ namespace: 'one', containerId: 'kept' }])
    assert.deepEqual(await networks.attachments('one', 'kept'), [kept])
    assert.equal(run('nft', 'list', 'ruleset'), before)
    await networks.reconcile([])
    assert.deepEqual((await networks.get('one', 'bridge')).attachments, [])
  })
}

/** The bridge plugin as a process among bad requests, crashes and other programs: clear errors, nothing left. */
import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { removeNetns } from '#api/sys/sys.ts'
import type { AddRequest, Network, NetworkPlugin } from '#sdk/network.ts'
import { inPrivateHost } from '#sdk/network-private.ts'
import { fails } from '#sdk/network-suite.ts'
import {
  hostAddress,
  kernelState,
  listen,
  openNetwork,
  type PluginProcess,
  run,
  until,
  World,
} from './networks-world.ts'

const tcp = (hostPort: number, hostIp = '') => ({ protocol: 'tcp', hostPort, containerPort: 80, hostIp, count: 1 })

if (inPrivateHost(fileURLToPath(import.meta.url))) {
  let world: World
  let process_: PluginProcess
  let plugin: NetworkPlugin
  let network: Network
  let clean: string

  before(async () => {
    world = await World.create()
    process_ = await world.plugin('b2b2b2b2')
    plugin = process_.plugin
    network = await plugin.createNetwork(openNetwork('a'))
    clean = kernelState()
  })
  afterEach(async () => {
    for (const { id } of await plugin.listNetworks()) {
      await plugin.gc(id, [])
      if (id !== network.id) await plugin.removeNetwork(id)
    }
    await until(() => kernelState() === clean, 3000).catch(() => assert.equal(kernelState(), clean))
  })
  after(() => world[Symbol.asyncDispose]())

  const refused = async (change: Partial<AddRequest>, ...expected: Parameters<typeof fails>) => {
    const request = await world.wish(network, 'refused')
    await assert.rejects(plugin.add({ ...request, ...change }), fails(...expected))
    await assert.rejects(plugin.check(request), fails('NOT_FOUND'))
    assert.equal(world.in(request.netnsPath, 'ip', '-br', 'link').trim().split('\n').length, 1, 'only lo')
  }

  test('a host port taken by a program is refused by its name', async () => {
    const foreign = await listen(8080, '127.0.0.1')
    const holder = new RegExp(`0\\.0\\.0\\.0:8080/tcp is taken by process \\S+ \\(pid ${process.pid}\\)`)
    await refused({ ports: [tcp(8081), tcp(8080)] }, 'ALREADY_EXISTS', holder)
    await new Promise(resolve => foreign.close(resolve))
    await world.attach(plugin, network, 'c1', [tcp(8080), tcp(8081)])
  })

  test('a host port, address or MAC taken by a container is refused by its name', async () => {
    const held = await world.attach(plugin, network, 'holder', [tcp(8080, '127.0.0.1')])
    await refused({ ports: [tcp(8080)] }, 'ALREADY_EXISTS', /8080\/tcp is taken by container holder/)
    await refused({ addresses: [held.address] }, 'ALREADY_EXISTS', /belongs to container holder/)
    await refused({ mac: held.result.interfaces[2]?.mac ?? '' }, 'ALREADY_EXISTS', /belongs to container holder/)
    await world.attach(plugin, network, 'other', [tcp(8080, '127.0.0.2')])
  })

  test('malformed and impossible wishes name the field', async () => {
    const gateway = network.subnets[0]?.gateway ?? ''
    await refused({ interfaceName: 'lo' }, 'INVALID_ARGUMENT', /interface_name "lo"/)
    await refused({ addresses: ['10.1.2.3'] }, 'INVALID_ARGUMENT', /10\.1\.2\.3 is outside/)
    await refused({ addresses: [gateway] }, 'ALREADY_EXISTS', /is the gateway/)
    await refused({ mac: '01:02:03:04:05:06' }, 'INVALID_ARGUMENT', /mac "01/)
    await refused({ ports: [{ ...tcp(80), protocol: 'icmp' }] }, 'INVALID_ARGUMENT', /"icmp" is not one of/)
    await refused({ ports: [tcp(70_000)] }, 'INVALID_ARGUMENT', /70000/)
    await refused({ ports: [tcp(8080, '203.0.113.9')] }, 'INVALID_ARGUMENT', /no address 203\.0\.113\.9/)
    await refused({ networkId: 'f'.repeat(64) }, 'NOT_FOUND', /network f{64}/)
  })

  test('networks that cannot be are refused, and leave nothing', async () => {
    const [own] = network.subnets
    const create = (cidr: string, rest = {}) =>
      plugin.createNetwork(openNetwork('b', { subnets: [{ cidr, gateway: '', range: '', reserved: {}, ...rest }] }))
    await assert.rejects(
      create('10.99.0.0/16'),
      fails('FAILED_PRECONDITION', /overlaps 10\.99\.0\.0\/24 of the host's route/),
    )
    await assert.rejects(create(own?.cidr ?? ''), fails('FAILED_PRECONDITION', /of network "suite-a"/))
    await assert.rejects(create('10.5.0.7/24'), fails('INVALID_ARGUMENT', /the subnet is 10\.5\.0\.0\/24/))
    await assert.rejects(
      create('10.5.0.0/24', { gateway: '10.6.0.1' }),
      fails('INVALID_ARGUMENT', /10\.6\.0\.1 is outside/),
    )
    await assert.rejects(create('10.5.0.0/24', { range: '10.5.0.0/16' }), fails('INVALID_ARGUMENT', /range/))
    const options = { 'com.docker.network.bridge.name': 'wire0' }
    await assert.rejects(
      plugin.createNetwork(openNetwork('b', { options })),
      fails('FAILED_PRECONDITION', /"wire0" exists/),
    )
    await assert.rejects(
      plugin.createNetwork(openNetwork('b', { options: { x: '1' } })),
      fails('INVALID_ARGUMENT', /"x"/),
    )
    assert.equal((await plugin.listNetworks()).length, 1)
  })

  test('a full subnet says so; addresses go round', async () => {
    const subnets = [{ cidr: '10.77.0.0/29', gateway: '', range: '', reserved: { '10.77.0.5': 'a printer' } }]
    const small = await plugin.createNetwork(openNetwork('b', { subnets }))
    const first = await world.attach(plugin, small, 'c0')
    await plugin.del(first.request)
    const four = []
    for (let i = 1; i <= 4; i++) four.push(await world.attach(plugin, small, `c${i}`))
    assert.deepEqual(
      four.map(({ address }) => address),
      ['10.77.0.3', '10.77.0.4', '10.77.0.6', '10.77.0.2'],
    )
    const request = await world.wish(small, 'c5')
    await assert.rejects(plugin.add(request), fails('RESOURCE_EXHAUSTED', /no free address in 10\.77\.0\.0\/29/))
    await plugin.del(four[1]?.request as AddRequest)
    assert.equal((await plugin.add(request)).ips[0]?.address, '10.77.0.4/29')
  })

  test('random host ports differ, and lead to the container', async () => {
    const container = await world.attach(plugin, network, 'c1', [tcp(0), tcp(0), { ...tcp(0), protocol: 'udp' }])
    const ports = container.result.ports.map(({ hostPort }) => hostPort)
    assert.equal(new Set(ports).size, 3)
    await world.serve(container.netns, 80)
    assert.equal(world.ask(undefined, 'tcp', '127.0.0.1', ports[1] ?? 0), network.subnets[0]?.gateway)
  })

  test('two gantryd on one host: own subnets, and a port goes to the first', async () => {
    const other = await world.plugin('c3c3c3c3')
    const second = await other.plugin.createNetwork(openNetwork('a', { name: 'bridge' }))
    assert.notEqual(second.subnets[0]?.cidr, network.subnets[0]?.cidr)
    await world.attach(plugin, network, 'c1', [tcp(8080)])
    const request = { ...(await world.wish(second, 'c1')), ports: [tcp(8080)] }
    await assert.rejects(
      other.plugin.add(request),
      fails('ALREADY_EXISTS', /8080\/tcp is taken by another gantryd .*gantry-b2b2b2b2/),
    )
    await other.plugin.add({ ...request, ports: [tcp(8082)] })
    await other.plugin.gc(second.id, [])
    await other.plugin.removeNetwork(second.id)
    await other.kill('SIGTERM')
  })

  test('what others take away is back by itself, soon', async t => {
    const container = await world.attach(plugin, network, 'c1', [tcp(8080)])
    await world.serve(container.netns, 80)
    const bridge = container.result.interfaces[0]?.name ?? ''
    const isWell = () =>
      plugin.check({ ...container.request, previous: container.result }).then(
        () => true,
        () => false,
      )
    assert.ok(await isWell())
    const whole = kernelState()
    const losses = [
      ['nft', 'flush', 'ruleset'],
      ['iptables', '-t', 'nat', '-F'],
      ['ip', 'link', 'del', bridge],
      ['ip', 'link', 'set', bridge, 'down'],
      ['ip', 'addr', 'flush', 'dev', bridge],
    ]
    for (const argv of losses) {
      run(...argv)
      const startedMs = performance.now()
      await until(async () => (await isWell()) && kernelState() === whole).catch(() =>
        assert.equal(kernelState(), whole, argv.join(' ')),
      )
      t.diagnostic(`after ${argv.join(' ')}: whole within ${Math.round(performance.now() - startedMs)} ms`)
      assert.equal(world.ask(undefined, 'tcp', '127.0.0.1', 8080), network.subnets[0]?.gateway, argv.join(' '))
    }
    world.in(container.netns, 'ip', 'link', 'del', 'eth0')
    await plugin.add(container.request)
    assert.ok(await isWell(), 'after ip link del of the interface')
  })

  test('a connection that is under way outlives a flush of the rules', async () => {
    const container = await world.attach(plugin, network, 'c1', [{ ...tcp(8081), containerPort: 81 }])
    const echo = await world.start(container.netns, 'echo', '81')
    const talk = await world.start(world.outside, 'talk', hostAddress, '8081')
    assert.equal(await talk.say('hello'), 'hello')
    run('nft', 'flush', 'ruleset')
    await until(() => run('nft', 'list', 'ruleset').includes('8081'))
    assert.equal(await talk.say('still there?'), 'still there?')
    for (const end of [talk, echo]) end.stop()
  })

  test('killed at any instant: a repeat succeeds, gc leaves nothing', async t => {
    let interrupted = 0
    for (const [i, delayMs] of [0, 3, 8, 15, 25, 40, 60, 90].entries()) {
      const requests = await Promise.all(
        Array.from({ length: 4 }, async (_, n) => ({ ...(await world.wish(network, `k${i}-${n}`)), ports: [tcp(0)] })),
      )
      const adding = Promise.allSettled(requests.map(request => plugin.add(request)))
      await sleep(delayMs)
      await process_.kill()
      interrupted += (await adding).filter(({ status }) => status === 'rejected').length
      await process_.start()
      const results = await Promise.all(requests.map(request => plugin.add(request)))
      assert.equal(new Set(results.map(({ ips }) => ips[0]?.address)).size, 4)
      for (const request of requests) await plugin.check(request)
      const leaving = Promise.allSettled(requests.slice(0, 2).map(request => plugin.del(request)))
      await sleep(i / 3)
      await process_.kill()
      await leaving
      await process_.start()
      await plugin.gc(network.id, [])
      for (const { netnsPath } of requests) await removeNetns(netnsPath)
    }
    t.diagnostic(`${interrupted} of 32 adds were cut short`)
    assert.ok(interrupted > 0, 'no add was cut short')
  })

  test('stopped while nobody is attached, it leaves the kernel as it was; its next use makes all again', async () => {
    const { request, address } = await world.attach(plugin, network, 'c1', [tcp(8080)])
    await process_.kill('SIGTERM')
    assert.match(kernelState(), /8080/, 'a network in use stays')
    await process_.start()
    await plugin.del(request)
    await process_.kill('SIGTERM')
    assert.doesNotMatch(kernelState(), /gtb2b2|gantry-b2/)
    await process_.start()
    assert.notEqual((await world.attach(plugin, network, 'c2', [tcp(8080)])).address, address)
  })

  test('one endpoint after another', async t => {
    const [adds, bare, dels]: [number[], number[], number[]] = [[], [], []]
    for (let i = 0; i < 30; i++) {
      const request = { ...(await world.wish(network, `o${i}`)), ports: i % 2 ? [tcp(0)] : [] }
      await timed(i % 2 ? adds : bare, () => plugin.add(request))
      await timed(dels, () => plugin.del(request))
      await removeNetns(request.netnsPath)
      await sleep(60)
    }
    t.diagnostic(
      `add ${median(bare)} ms, with a port ${median(adds)} ms; del ${median(dels)} ms (median, over gRPC); best ${Math.min(...bare).toFixed(1)}, ${Math.min(...adds).toFixed(1)}, ${Math.min(...dels).toFixed(1)} ms`,
    )
  })
}

async function timed<T>(times: number[], work: () => Promise<T>): Promise<T> {
  const started = performance.now()
  const result = await work()
  times.push(performance.now() - started)
  return result
}

function median(times: readonly number[]): string {
  return ([...times].sort((a, b) => a - b)[times.length >> 1] ?? 0).toFixed(1)
}

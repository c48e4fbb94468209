/** What the bridge plugin cannot do is refused with the reason and what to do, and leaves nothing. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { removeNetns } from '#api/sys/sys.ts'
import { openNetworkPlugin } from '#sdk/define-network.ts'
import type { Network, NetworkPlugin } from '#sdk/network.ts'
import { inPrivateHost } from '#sdk/network-private.ts'
import { fails } from '#sdk/network-suite.ts'
import { bridge } from '../../plugins/networks/bridge/bridge.ts'
import { kernelState, openNetwork, run, until, World } from './networks-world.ts'

if (inPrivateHost(fileURLToPath(import.meta.url))) {
  let world: World
  let plugin: NetworkPlugin
  let network: Network
  let clean: string

  before(async () => {
    world = await World.create()
    // Hosts with forwarding off are made routers, and told so.
    run('sysctl', '-qw', 'net.ipv4.ip_forward=0', 'net.ipv6.conf.all.forwarding=0')
    const pools = [
      { base: '10.81.0.0/23', size: 24 },
      { base: 'fd81::/63', size: 64 },
    ]
    const config = { pools, first_random_port: 40_000, last_random_port: 40_002 }
    plugin = await openNetworkPlugin(bridge, { root: join(world.dir, 'root'), instance: 'bad00000', config })
    network = await plugin.createNetwork(openNetwork('a'))
    clean = kernelState()
  })
  after(async () => {
    await plugin.gc(network.id, [])
    await plugin.close()
    await world[Symbol.asyncDispose]()
  })

  const nothingStays = () => until(() => kernelState() === clean).catch(() => assert.equal(kernelState(), clean))
  const random = { protocol: 'tcp', hostPort: 0, containerPort: 80, hostIp: '', count: 1 }

  test('forwarding that was off at the start is on', () => {
    assert.equal(run('sysctl', '-n', 'net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding'), '1\n1\n')
  })

  test('a full pool says which networks hold what', async () => {
    const second = await plugin.createNetwork(openNetwork('b'))
    await assert.rejects(
      plugin.createNetwork(openNetwork('c')),
      fails(
        'RESOURCE_EXHAUSTED',
        /10\.81\.0\.0\/24 by network "suite-[ab]", 10\.81\.1\.0\/24 by network "suite-[ab]".*configure/s,
      ),
    )
    await plugin.removeNetwork(second.id)
    await nothingStays()
  })

  test('a network in use is not removed, and says who uses it', async () => {
    const { request } = await world.attach(plugin, network, 'user')
    await assert.rejects(
      plugin.removeNetwork(network.id),
      fails('FAILED_PRECONDITION', /1 containers attached: user \(eth0\)/),
    )
    await plugin.check(request)
    await plugin.del(request)
    await nothingStays()
  })

  test('a host out of ports says so, and which setting would help', async () => {
    const holder = await world.attach(plugin, network, 'holder', [random, random, random])
    const request = { ...(await world.wish(network, 'late')), ports: [random] }
    await assert.rejects(plugin.add(request), fails('RESOURCE_EXHAUSTED', /between 40000 and 40002.*last_random_port/))
    await plugin.del(holder.request)
    await plugin.add(request)
    await plugin.del(request)
    await nothingStays()
  })

  test('two adds at once for one endpoint: the same wish is one endpoint, another wish is refused', async () => {
    const request = { ...(await world.wish(network, 'twice')), ports: [random] }
    const [one, two] = await Promise.all([plugin.add(request), plugin.add(request)])
    assert.deepEqual(one, two)
    await plugin.del(request)
    const other = { ...request, mac: '02:42:00:00:00:77' }
    const outcomes = await Promise.allSettled([plugin.add(request), plugin.add(other)])
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['fulfilled', 'rejected'],
    )
    const [, refused] = outcomes
    assert.ok(
      refused?.status === 'rejected' &&
        fails('ALREADY_EXISTS', /twice \(eth0\) is attached already, with MAC/)(refused.reason),
    )
    await plugin.check(request)
    await plugin.del(request)
    await nothingStays()
  })

  test('a container that left a network joins it again at once, while the kernel still takes its link away', async () => {
    const left = await plugin.createNetwork(openNetwork('8'))
    const request = await world.wish(left, 'returns')
    for (let round = 0; round < 20; round++) {
      await plugin.add(request)
      await plugin.del(request)
    }
    assert.deepEqual(await plugin.gc(left.id, []), [])
    await plugin.removeNetwork(left.id)
  })

  test('a namespace that goes while it is joined leaves nothing', async () => {
    for (let i = 0; i < 5; i++) {
      const request = await world.wish(network, `fleeting${i}`)
      const [added] = await Promise.allSettled([plugin.add(request), removeNetns(request.netnsPath)])
      if (added.status === 'rejected') await assert.rejects(plugin.check(request), fails('NOT_FOUND'))
      await plugin.del(request)
    }
    await nothingStays()
  })
}

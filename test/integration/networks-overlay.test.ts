/** One network on two hosts, each a network namespace with a bridge plugin of its own: containers reach one another. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Network, NetworkPlugin } from '#sdk/network.ts'
import { inPrivateHost } from '#sdk/network-private.ts'
import { fails } from '#sdk/network-suite.ts'
import {
  hostAddress,
  hostAddress6,
  openNetwork,
  outsideAddress,
  outsideAddress6,
  type PluginProcess,
  run,
  until,
  World,
} from './networks-world.ts'

const port = 7000

if (inPrivateHost(fileURLToPath(import.meta.url))) {
  let world: World
  let here: PluginProcess
  let there: PluginProcess

  before(async () => {
    world = await World.create()
    here = await world.plugin('0e110001')
    there = await world.plugin('0e220001', { netns: world.outside })
  })
  after(() => world[Symbol.asyncDispose]())

  /** Both halves of a network over IPv4 or IPv6. */
  const span = async (digit: string, id: number, hosts: readonly [string, string], icc = true) => {
    const half = (plugin: NetworkPlugin, local: string, peer: string, side: 0 | 1) =>
      plugin.createNetwork(halfOf({ digit, id, local, peer, side, icc }))
    const [a, b] = hosts
    return [await half(here.plugin, a, b, 0), await half(there.plugin, b, a, 1)] as const
  }

  for (const [what, digit, hosts, mtu] of [
    ['IPv4', 'a', [hostAddress, outsideAddress], 1450],
    ['IPv6', 'b', [hostAddress6, outsideAddress6], 1430],
  ] as const)
    test(`containers on both hosts, over ${what}: both families, with their own addresses, frames of full size`, async () => {
      const id = digit === 'a' ? 42 : 43
      const [network, other] = await span(digit, id, hosts)
      assert.equal(network.mtu, mtu)
      const [one, two] = [
        await world.attach(here.plugin, network, 'one'),
        await world.attach(there.plugin, other, 'two'),
      ]
      const [one6 = '', two6 = ''] = [one, two].map(({ result }) => result.ips[1]?.address.split('/')[0])
      for (const { netns } of [one, two]) await world.serve(netns, port)
      for (const protocol of ['tcp', 'udp'] as const) {
        assert.equal(world.ask(one.netns, protocol, two.address, port), one.address)
        assert.equal(world.ask(two.netns, protocol, one.address, port), two.address)
        assert.equal(world.ask(one.netns, protocol, two6, port), one6)
        assert.equal(world.ask(two.netns, protocol, one6, port), two6)
      }
      const ping = (bytes: number) =>
        world.in(one.netns, 'ping', '-c1', '-W5', '-M', 'do', '-s', String(bytes), two.address)
      assert.match(ping(mtu - 28), / 0% packet loss/)
      assert.throws(() => ping(mtu - 27), /message too long|Message too long/)

      // What others take away comes back, and whoever dies.
      const link = run('ip', '-o', 'link', 'show', 'type', 'vxlan').match(/gt0e1100x[^:]*/)?.[0] ?? ''
      run('ip', 'link', 'del', link)
      await until(() => run('ip', '-o', 'link', 'show', 'type', 'vxlan').includes(link))
      await until(() => world.ask(one.netns, 'tcp', two.address, port) === one.address)
      await there.kill()
      assert.equal(world.ask(one.netns, 'tcp', two.address, port), one.address)
      await there.start()
      assert.deepEqual(await there.plugin.createNetwork(other), other)
      assert.equal(world.ask(two.netns, 'udp', one.address, port), two.address)

      await here.plugin.del(one.request)
      await there.plugin.del(two.request)
      await here.plugin.removeNetwork(network.id)
      await there.plugin.removeNetwork(other.id)
      const links = [run('ip', '-o', 'link'), world.in(world.outside, 'ip', '-o', 'link')].join()
      assert.doesNotMatch(links, /gt0e[12]{2}00x/)
    })

  test('containers that must not reach one another do not, on other hosts either', async () => {
    const [network, other] = await span('c', 44, [hostAddress, outsideAddress], false)
    const [one, two] = [await world.attach(here.plugin, network, 'one'), await world.attach(there.plugin, other, 'two')]
    await world.serve(two.netns, port)
    assert.match(world.ask(one.netns, 'tcp', two.address, port), /^(no answer|EHOSTUNREACH)$/)
    await here.plugin.del(one.request)
    await there.plugin.del(two.request)
    await here.plugin.removeNetwork(network.id)
    await there.plugin.removeNetwork(other.id)
  })

  test('what is wrong is told', async () => {
    const bad = (change: Record<string, string>, why: RegExp, overrides: Partial<Network> = {}) => {
      const half = halfOf({ digit: 'd', id: 45, local: hostAddress, peer: outsideAddress, side: 0, icc: true })
      const wanted = { ...half, ...overrides, options: { ...half.options, ...change } }
      return assert.rejects(here.plugin.createNetwork(wanted), fails('INVALID_ARGUMENT', why))
    }
    await bad({ 'gantry.network.vxlan.id': '16777216' }, /vxlan\.id "16777216"/)
    await bad({ 'gantry.network.vxlan.local': '10.99.0.77' }, /no address of this host/)
    await bad({ 'gantry.network.vxlan.peers': outsideAddress6 }, /no other host of the family/)
    await bad({ 'gantry.network.vxlan.peers': '10.200.0.9' }, /lies in a subnet/)
    await bad({}, /say its subnet/, { subnets: [] })
    await bad({ 'gantry.network.vxlan.local': '' }, /is not an IP address/)
    run('ip', 'link', 'add', 'foreign', 'type', 'vxlan', 'id', '45', 'dstport', '4789', 'dev', 'wire0')
    await bad({}, /45 at port 4789 is in use/)
    run('ip', 'link', 'del', 'foreign')
    assert.deepEqual(await here.plugin.listNetworks(), [])
  })
}

interface Half {
  readonly digit: string
  readonly id: number
  readonly local: string
  readonly peer: string
  readonly side: 0 | 1
  readonly icc: boolean
}

/** The lower or the upper half of the subnets' addresses; the first one is the host's. */
function halfOf({ digit, id, local, peer, side, icc }: Half): Network {
  const subnet = (cidr: string, gateway: string, range: string) => ({ cidr, gateway, range, reserved: {} })
  const subnets =
    side === 0
      ? [subnet('10.200.0.0/24', '10.200.0.1', '10.200.0.0/25'), subnet('fd20::/64', 'fd20::1', 'fd20::/65')]
      : [
          subnet('10.200.0.0/24', '10.200.0.129', '10.200.0.128/25'),
          subnet('fd20::/64', 'fd20::8000:0:0:1', 'fd20:0:0:0:8000::/65'),
        ]
  const options = {
    'gantry.network.vxlan.id': String(id),
    'gantry.network.vxlan.local': local,
    'gantry.network.vxlan.peers': peer,
    'com.docker.network.bridge.enable_icc': String(icc),
  }
  return openNetwork(digit, { subnets, options })
}

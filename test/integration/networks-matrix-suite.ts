/**
 * Which address the server sees, for every path to a published port, in both families. It is the client's own wherever the
 * kernel can find the way back for it; where not, the gateway's: from loopback addresses, and from the server's own
 * network (whose answers would go straight to the client, past the translation).
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Network, NetworkPlugin } from '#sdk/network.ts'
import {
  type Container,
  hostAddress,
  hostAddress6,
  openNetwork,
  outsideAddress,
  outsideAddress6,
  type PluginProcess,
  World,
} from './networks-world.ts'

const port = (protocol: string, hostPort: number, hostIp = '') => ({
  protocol,
  hostPort,
  containerPort: 80,
  hostIp,
  count: 1,
})

/** Defines the tests, with the plugin configured so; in a private host. */
export function matrixSuite(config: Readonly<Record<string, unknown>> = {}): void {
  let world: World
  let process_: PluginProcess
  let plugin: NetworkPlugin
  let [blue, red]: Network[] = []
  let server: Container
  let [neighbour, stranger]: Container[] = []

  before(async () => {
    world = await World.create()
    process_ = await world.plugin('e6e6e6e6', { config })
    plugin = process_.plugin
    blue = await plugin.createNetwork(openNetwork('b'))
    red = await plugin.createNetwork(openNetwork('c'))
    const ports = [
      port('tcp', 8080),
      port('udp', 8080),
      port('tcp', 9090, '::1'),
      port('udp', 9090, '::1'),
      port('tcp', 9191, hostAddress6),
    ]
    server = await world.attach(plugin, blue, 'server', ports)
    neighbour = await world.attach(plugin, blue, 'neighbour')
    stranger = await world.attach(plugin, red, 'stranger')
    await world.serve(server.netns, 80)
    await world.serve(world.outside, 700)
  })
  after(() => world[Symbol.asyncDispose]())

  test('seen sources of all paths', async t => {
    const [gateway, gateway6] = server.result.ips.map(ip => ip.gateway) as [string, string]
    const own6 = ({ result }: Container) => result.ips[1]?.address.split('/')[0] ?? ''
    const [near, far] = [neighbour, stranger] as [Container, Container]
    type Path = [who: string, protocols: string, netns: string | undefined, host: string, port: number, seen: string]
    const paths: Path[] = [
      ['another host', 'tcp udp', world.outside, hostAddress, 8080, outsideAddress],
      ['another host', 'tcp udp', world.outside, hostAddress6, 8080, outsideAddress6],
      ['the host, own address', 'tcp udp', undefined, hostAddress, 8080, hostAddress],
      ['the host, own address', 'tcp udp', undefined, hostAddress6, 8080, hostAddress6],
      ['the host, loopback', 'tcp udp', undefined, '127.0.0.1', 8080, gateway],
      ['the host, loopback', 'tcp udp', undefined, '::1', 8080, gateway6],
      ['the host, port at ::1 only', 'tcp udp', undefined, '::1', 9090, gateway6],
      ['another host, port at one address', 'tcp', world.outside, hostAddress6, 9191, outsideAddress6],
      ['container of another network', 'tcp udp', far.netns, hostAddress, 8080, far.address],
      ['container of another network', 'tcp udp', far.netns, hostAddress6, 8080, own6(far)],
      ['container of the network', 'tcp udp', near.netns, hostAddress, 8080, gateway],
      ['container of the network', 'tcp udp', near.netns, hostAddress6, 8080, gateway6],
      ['container of the network, directly', 'tcp udp', near.netns, server.address, 80, near.address],
      ['container of the network, directly', 'tcp udp', near.netns, own6(server), 80, own6(near)],
      ['the container itself (hairpin)', 'tcp udp', server.netns, hostAddress, 8080, gateway],
      ['the container itself (hairpin)', 'tcp udp', server.netns, hostAddress6, 8080, gateway6],
    ]
    for (const [who, protocols, netns, host, number, seen] of paths)
      for (const protocol of protocols.split(' ') as ('tcp' | 'udp')[]) {
        const found = world.ask(netns, protocol, host, number)
        t.diagnostic(`${who} -> ${protocol} ${host} ${number}: seen ${found}${found === seen ? '' : `, not ${seen}`}`)
        assert.equal(found, seen, `${who} by ${protocol} to ${host}`)
      }
  })

  test('outwards the host’s address, in both families; other networks and hosts do not get in', () => {
    for (const protocol of ['tcp', 'udp'] as const)
      assert.equal(world.ask(server.netns, protocol, outsideAddress6, 700), hostAddress6)
    const address = server.result.ips[1]?.address.split('/')[0] ?? ''
    assert.equal(world.ask(stranger?.netns, 'tcp', address, 80), 'no answer')
    world.in(world.outside, 'ip', '-6', 'route', 'add', 'fd00::/8', 'via', hostAddress6)
    assert.equal(world.ask(world.outside, 'tcp', address, 80), 'no answer')
    assert.notEqual(world.ask(world.outside, 'tcp', hostAddress6, 9090), outsideAddress6)
  })

  test('the ports answer again after the plugin was killed and started, at ::1 too', async () => {
    await process_.kill()
    assert.equal(world.ask(undefined, 'tcp', hostAddress6, 8080), hostAddress6)
    await process_.start()
    for (const protocol of ['tcp', 'udp'] as const)
      assert.equal(world.ask(undefined, protocol, '::1', 8080), server.result.ips[1]?.gateway)
  })

  test('a network of IPv6 alone, and one of IPv4 alone', async () => {
    const six = await plugin.createNetwork(openNetwork('6', { disableIpv4: true }))
    const one = await world.attach(plugin, six, 'one', [port('tcp', 8181)])
    assert.deepEqual(
      one.result.ips.map(({ address }) => address.includes(':')),
      [true],
    )
    await world.serve(one.netns, 80)
    assert.equal(world.ask(world.outside, 'tcp', hostAddress6, 8181), outsideAddress6)
    const four = await plugin.createNetwork(openNetwork('4', { disableIpv6: true }))
    const two = await world.attach(plugin, four, 'two', [port('tcp', 8282)])
    assert.equal(two.result.ips.length, 1)
    assert.doesNotMatch(two.result.ips[0]?.address ?? '', /:/)
    await assert.rejects(
      plugin.createNetwork(openNetwork('0', { disableIpv4: true, disableIpv6: true })),
      /leave no addresses/,
    )
  })

  test('16,000 udp ports of one container', async t => {
    const request = {
      ...(await world.wish(blue as Network, 'many')),
      ports: [{ ...port('udp', 20_000), count: 16_000 }],
    }
    const free = await plugin.createNetwork(openNetwork('d'))
    const startedMs = performance.now()
    const { ports } = await plugin.add({
      ...request,
      networkId: free.id,
      ports: [{ ...request.ports[0], containerPort: 20_000 }] as never,
    })
    t.diagnostic(`16,000 udp ports (32,000 elements, both families): ${Math.round(performance.now() - startedMs)} ms`)
    assert.deepEqual(
      ports.map(({ hostIp, count }) => `${hostIp} ${count}`),
      ['0.0.0.0 16000', ':: 16000'],
    )
    await plugin.gc(free.id, [])
  })
}

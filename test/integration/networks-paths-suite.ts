/** Every way a packet may take to and from a container on a bridge network, and those it may not. */
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import type { Network, NetworkPlugin } from '#sdk/network.ts'
import { type Container, hostAddress, openNetwork, outsideAddress, run, World } from './networks-world.ts'

const everywhere = (hostPort: number, containerPort: number, protocol = 'tcp') => ({
  protocol,
  hostPort,
  containerPort,
  hostIp: '',
  count: 1,
})

/** Defines the tests, with the plugin configured so; in a private host. */
export function pathsSuite(config: Readonly<Record<string, unknown>> = {}): void {
  let world: World
  let plugin: NetworkPlugin
  let [blue, red]: Network[] = []
  let server: Container
  let [neighbour, stranger]: Container[] = []

  before(async () => {
    world = await World.create()
    plugin = (await world.plugin('a1a1a1a1', { config })).plugin
    blue = await plugin.createNetwork(openNetwork('b'))
    red = await plugin.createNetwork(openNetwork('c'))
    server = await world.attach(plugin, blue, 'server', [
      everywhere(8080, 80),
      everywhere(8080, 80, 'udp'),
      { ...everywhere(9090, 80), hostIp: '127.0.0.1' },
    ])
    neighbour = await world.attach(plugin, blue, 'neighbour')
    stranger = await world.attach(plugin, red, 'stranger')
    await world.serve(server.netns, 80)
    await world.serve(world.outside, 700)
  })
  after(() => world[Symbol.asyncDispose]())

  test('host and container reach each other', () => {
    world.in(server.netns, 'ping', '-c1', '-W1', gatewayOf(server))
    run('ping', '-c1', '-W1', server.address)
    assert.equal(world.ask(undefined, 'tcp', server.address, 80), gatewayOf(server))
  })

  test('outwards a container has the address of the host', () => {
    for (const protocol of ['tcp', 'udp'] as const)
      assert.equal(world.ask(server.netns, protocol, outsideAddress, 700), hostAddress)
  })

  // With 1, frames within a bridge pass the firewall too (Docker and Kubernetes hosts set it).
  for (const bridgeFilter of ['0', '1'])
    test(`published ports, seen with bridge-nf-call-iptables=${bridgeFilter}`, async t => {
      writeFileSync('/proc/sys/net/bridge/bridge-nf-call-iptables', bridgeFilter)
      const paths: [who: string, netns: string | undefined, host: string, port: number, seen: string][] = [
        ['another host', world.outside, hostAddress, 8080, outsideAddress],
        ['the host, by its own address', undefined, hostAddress, 8080, hostAddress],
        ['the host, by loopback', undefined, '127.0.0.1', 8080, gatewayOf(server)],
        ['the host, by another loopback address', undefined, '127.1.2.3', 8080, gatewayOf(server)],
        ['the host, port on loopback only', undefined, '127.0.0.1', 9090, gatewayOf(server)],
        ['a container of the network', neighbour?.netns, hostAddress, 8080, gatewayOf(server)],
        ['a container of the network, by its gateway', neighbour?.netns, gatewayOf(server), 8080, gatewayOf(server)],
        ['the container itself', server.netns, hostAddress, 8080, gatewayOf(server)],
        ['a container of another network', stranger?.netns, hostAddress, 8080, stranger?.address ?? ''],
      ]
      for (const [who, netns, host, port, seen] of paths)
        await t.test(who, () => {
          assert.equal(world.ask(netns, 'tcp', host, port), seen)
          if (port === 8080) assert.equal(world.ask(netns, 'udp', host, port), seen)
        })
      await t.test('directly within the network', () => {
        assert.equal(world.ask(neighbour?.netns, 'tcp', server.address, 80), neighbour?.address)
      })
    })

  test('a port on loopback only is not there for others', () => {
    assert.notEqual(world.ask(world.outside, 'tcp', hostAddress, 9090), outsideAddress)
    assert.equal(world.ask(undefined, 'tcp', hostAddress, 9090), 'ECONNREFUSED')
  })

  test('other networks and hosts that know the way do not get in', () => {
    assert.equal(world.ask(stranger?.netns, 'tcp', server.address, 80), 'no answer')
    world.in(world.outside, 'ip', 'route', 'add', blue?.subnets[0]?.cidr ?? '', 'via', hostAddress)
    assert.equal(world.ask(world.outside, 'tcp', server.address, 80), 'no answer')
  })

  test("a container cannot reach the host's loopback by forged routes", async () => {
    const forger = await world.attach(plugin, red as Network, 'forger')
    const forge = (...argv: string[]) => world.in(forger.netns, ...argv)
    forge('sysctl', '-qw', 'net.ipv4.conf.all.route_localnet=1')
    forge('ip', 'addr', 'flush', 'dev', 'lo')
    forge('ip', 'route', 'add', '127.0.0.0/8', 'via', gatewayOf(forger), 'src', forger.address)
    const heard: string[] = []
    const listener = createSocket('udp4').on('message', (_, from) => heard.push(from.address))
    await new Promise<void>(resolve => listener.bind(7777, '127.0.0.1', resolve))
    world.ask(forger.netns, 'udp', '127.0.0.1', 7777)
    await new Promise(resolve => setTimeout(resolve, 50))
    listener.close()
    assert.deepEqual(heard, [])
  })

  test('an internal network reaches nobody and is reached by nobody else', async () => {
    const inner = await plugin.createNetwork(openNetwork('d', { internal: true }))
    const [one, two] = [await world.attach(plugin, inner, 'one'), await world.attach(plugin, inner, 'two')]
    await world.serve(one.netns, 80)
    assert.deepEqual(one.result.routes, [])
    assert.equal(world.ask(two.netns, 'tcp', one.address, 80), two.address)
    world.in(two.netns, 'ip', 'route', 'add', 'default', 'via', gatewayOf(two))
    assert.equal(world.ask(two.netns, 'tcp', outsideAddress, 700), 'no answer')
    assert.equal(world.ask(neighbour?.netns, 'tcp', one.address, 80), 'no answer')
  })

  test('with enable_icc=false containers of one network do not reach one another, nor do those of others', async () => {
    const options = { 'com.docker.network.bridge.enable_icc': 'false' }
    const quiet = await plugin.createNetwork(openNetwork('e', { options }))
    const [one, two] = [await world.attach(plugin, quiet, 'one'), await world.attach(plugin, quiet, 'two')]
    await world.serve(one.netns, 80)
    assert.notEqual(world.ask(two.netns, 'tcp', one.address, 80), two.address)
    assert.equal(world.ask(two.netns, 'tcp', outsideAddress, 700), hostAddress)
  })

  test('a detached port is closed at once', async () => {
    await plugin.del(server.request)
    assert.equal(world.ask(undefined, 'tcp', hostAddress, 8080), 'ECONNREFUSED')
    assert.notEqual(world.ask(world.outside, 'tcp', hostAddress, 8080), outsideAddress)
  })
}

function gatewayOf({ result }: Container): string {
  return result.ips[0]?.gateway ?? ''
}

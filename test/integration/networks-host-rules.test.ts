/**
 * A host with rules of its own: what they drop stays dropped, whatever is published, and what they let through works.
 * The rule sets are shaped like those of ufw (iptables, policy drop, a chain for what is allowed) and firewalld
 * (nftables at priority filter + 10, everything rejected that no zone allows).
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { after, afterEach, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Network, NetworkPlugin } from '#sdk/network.ts'
import { inPrivateHost } from '#sdk/network-private.ts'
import { type Container, hostAddress, openNetwork, outsideAddress, run, until, World } from './networks-world.ts'

const forwarding = ['/proc/sys/net/ipv4/ip_forward', '/proc/sys/net/ipv6/conf/all/forwarding']

if (inPrivateHost(fileURLToPath(import.meta.url))) {
  let world: World
  let plugin: NetworkPlugin
  let blue: Network
  let [server, neighbour]: Container[] = []
  let bridge: string

  before(async () => {
    for (const path of forwarding) writeFileSync(path, '0')
    world = await World.create()
    writeFileSync('/proc/sys/net/ipv6/conf/wire0/accept_ra', '1')
    plugin = (await world.plugin('f7f7f7f7')).plugin
    blue = await plugin.createNetwork(openNetwork('b', { name: 'blue' }))
    const port = { protocol: 'tcp', hostPort: 8080, containerPort: 80, hostIp: '', count: 1 }
    server = await world.attach(plugin, blue, 'server', [port])
    neighbour = await world.attach(plugin, blue, 'neighbour')
    bridge = server.result.interfaces[0]?.name ?? ''
    await world.serve(server.netns, 80)
    await world.serve(world.outside, 700)
  })
  after(() => world[Symbol.asyncDispose]())
  afterEach(() => {
    run('iptables', '-P', 'FORWARD', 'ACCEPT')
    run('iptables', '-P', 'INPUT', 'ACCEPT')
    run('iptables', '-F')
  })

  const fromOutside = () => world.ask(world.outside, 'tcp', hostAddress, 8080)
  const outwards = () => world.ask(server?.netns, 'tcp', outsideAddress, 700)

  test('forwarding that was off is on, and the host still hears its routers', () => {
    assert.deepEqual(
      forwarding.map(path => readFileSync(path, 'utf8').trim()),
      ['1', '1'],
    )
    assert.equal(readFileSync('/proc/sys/net/ipv6/conf/wire0/accept_ra', 'utf8').trim(), '2')
    assert.equal(fromOutside(), outsideAddress)
    assert.equal(outwards(), hostAddress)
  })

  test('a rule set like ufw’s: policy drop counts for containers too, an allowance opens', () => {
    // With 1 the host's rules count within a bridge too.
    const bridgeFilter = '/proc/sys/net/bridge/bridge-nf-call-iptables'
    if (existsSync(bridgeFilter)) writeFileSync(bridgeFilter, '0')
    run('iptables', '-P', 'FORWARD', 'DROP')
    run('iptables', '-P', 'INPUT', 'DROP')
    run('iptables', '-A', 'FORWARD', '-m', 'conntrack', '--ctstate', 'ESTABLISHED,RELATED', '-j', 'ACCEPT')
    run('iptables', '-A', 'INPUT', '-m', 'conntrack', '--ctstate', 'ESTABLISHED,RELATED', '-j', 'ACCEPT')
    assert.equal(fromOutside(), 'no answer')
    assert.equal(outwards(), 'no answer')
    assert.equal(world.ask(neighbour?.netns, 'tcp', server?.address ?? '', 80), neighbour?.address)
    run('iptables', '-A', 'FORWARD', '-i', bridge, '-j', 'ACCEPT')
    assert.equal(outwards(), hostAddress)
    assert.equal(fromOutside(), 'no answer')
    run(
      'iptables',
      '-A',
      'FORWARD',
      '-o',
      bridge,
      '-p',
      'tcp',
      '-d',
      server?.address ?? '',
      '--dport',
      '80',
      '-j',
      'ACCEPT',
    )
    assert.equal(fromOutside(), outsideAddress)
  })

  test('names are answered behind a host that drops all input', async () => {
    run('iptables', '-P', 'INPUT', 'DROP')
    const asker = await world.wish(blue, 'asker')
    await plugin.add({ ...asker, aliases: ['asker'] })
    const argv = [`--net=${asker.netnsPath}`, 'dig', '@127.0.0.11', '+short', '+timeout=9', 'asker']
    const answer = execFileSync('nsenter', argv, { encoding: 'utf8' }).trim()
    assert.match(world.in(asker.netnsPath, 'ip', '-o', 'addr'), new RegExp(` ${answer.replaceAll('.', '\\.')}/24 `))
    await plugin.del(asker)
  })

  test('a rule set like firewalld’s: a zone that is not allowed stays closed, a reload does not touch ours', async () => {
    const zones = (allowed: string) => `
      table inet firewalld-like
      delete table inet firewalld-like
      table inet firewalld-like {
        chain forward {
          type filter hook forward priority filter + 10; policy accept;
          ct state established,related accept
          ${allowed}
          reject with icmpx admin-prohibited
        }
      }`
    const load = (allowed: string) => execFileSync('nft', ['-f', '-'], { input: zones(allowed) })
    load('')
    assert.notEqual(fromOutside(), outsideAddress)
    assert.notEqual(outwards(), hostAddress)
    load(`iifname "${bridge}" accept; oifname "${bridge}" ct status dnat accept`)
    assert.equal(fromOutside(), outsideAddress)
    assert.equal(outwards(), hostAddress)
    run('nft', 'delete', 'table', 'inet', 'firewalld-like')
    await until(() => fromOutside() === outsideAddress)
  })
}

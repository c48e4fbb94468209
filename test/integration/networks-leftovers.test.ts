/**
 * Everything the bridge plugin could leave in the kernel or its ledger, put there one kind at a time beside things of other
 * people: a dry run names it and touches nothing, gc removes it and nothing else.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Network, NetworkPlugin } from '#sdk/network.ts'
import { inPrivateHost } from '#sdk/network-private.ts'
import {
  type Container,
  hostAddress,
  hostAddress6,
  openNetwork,
  type PluginProcess,
  run,
  World,
} from './networks-world.ts'

const instance = 'a1a1a1a1'
const table = `gantry-${instance}`
const prefix = `gt${instance.slice(0, 6)}`

/** Puts a leftover there. What it answers is run when it has been removed. */
type Injection = () => void | Promise<void | (() => void | Promise<void>)>

if (inPrivateHost(fileURLToPath(import.meta.url))) {
  let world: World
  let process_: PluginProcess
  let plugin: NetworkPlugin
  let network: Network
  let six: Network
  let kept: Container
  let sixth: Container
  let bridge: string
  let bridge6: string

  const link = (...argv: string[]) => run('ip', 'link', 'add', ...argv)
  const nft = (...argv: string[]) => void run('nft', ...argv)
  const element = (set: string, text: string) => nft('add', 'element', 'inet', table, set, `{ ${text} }`)
  const addressIn = (family: 4 | 6, host: string) => {
    const cidr = network.subnets.find(subnet => subnet.cidr.includes(':') === (family === 6))?.cidr ?? ''
    return family === 4 ? cidr.replace(/\.0\/\d+$/, `.${host}`) : cidr.replace(/::\/\d+$/, `::${host}`)
  }
  const outerLink = () => kept.result.interfaces[1]?.name ?? ''

  before(async () => {
    world = await World.create()
    process_ = await world.plugin(instance)
    plugin = process_.plugin
    network = await plugin.createNetwork(openNetwork('a'))
    six = await plugin.createNetwork(
      openNetwork('b', { disableIpv4: true, options: { 'gantry.network.names': 'false' } }),
    )
    const ports = [
      { protocol: 'udp', hostPort: 8080, containerPort: 80, hostIp: '', count: 3 },
      { protocol: 'tcp', hostPort: 8090, containerPort: 80, hostIp: hostAddress, count: 1 },
    ]
    kept = await world.attach(plugin, network, 'kept', ports)
    sixth = await world.attach(plugin, six, 'sixth')
    bridge = kept.result.interfaces[0]?.name ?? ''
    bridge6 = sixth.result.interfaces[0]?.name ?? ''
    otherPeoplesThings(world, kept, bridge)
  })
  after(() => world[Symbol.asyncDispose]())

  const collect = async (dryRun: boolean) => {
    const first = await plugin.gc(network.id, [kept.request], { dryRun })
    const second = await plugin.gc(six.id, [sixth.request], { dryRun })
    return [...new Set([...first, ...second])]
  }

  /** A flow of UDP to a container that is then detached: the kernel goes on leading packets to its address. */
  const flowOfNobody = (host: string, port: number) => async () => {
    const ports = [{ protocol: 'udp', hostPort: port, containerPort: 80, hostIp: '', count: 1 }]
    const gone = await world.attach(plugin, network, `flow${port}`, ports)
    await world.serve(gone.netns, 80)
    assert.match(world.ask(world.outside, 'udp', host, port), /99/)
    await plugin.del(gone.request)
    assert.ok(flows().includes(`dport=${port} `), `a tracked flow of port ${port}`)
    return () => assert.ok(!flows().includes(`dport=${port} `), `no tracked flow of port ${port}`)
  }

  const kinds: Record<string, Injection> = {
    'veth pair, both halves on the host': () =>
      void link(`${prefix}v90`, 'type', 'veth', 'peer', 'name', `${prefix}v91`),
    'veth half, the other in a container that stays': () => {
      link(`${prefix}v92`, 'type', 'veth', 'peer', 'name', 'strayed')
      run('ip', 'link', 'set', 'strayed', 'netns', pidIn(world, kept.netns))
    },
    'veth half in our bridge': () => {
      link(`${prefix}v93`, 'type', 'veth', 'peer', 'name', `${prefix}v94`)
      run('ip', 'link', 'set', `${prefix}v93`, 'master', bridge)
    },
    'bridge of a network nobody knows': () => {
      link('gantryold0', 'type', 'bridge')
      run('ip', 'link', 'set', 'gantryold0', 'alias', `gantry ${instance} network ${'f'.repeat(64)}`)
    },
    'bridge that was renamed by others': () => {
      link('br-renamed', 'type', 'bridge')
      run('ip', 'link', 'set', 'br-renamed', 'alias', `gantry ${instance} network ${'e'.repeat(64)}`)
    },
    'bridge without its mark': () => void link(`${prefix}b77`, 'type', 'bridge'),
    'bridge with addresses and routes': () => {
      link(`${prefix}b78`, 'type', 'bridge')
      run('ip', 'addr', 'add', '10.44.0.1/24', 'dev', `${prefix}b78`)
      run('ip', 'link', 'set', `${prefix}b78`, 'up')
    },
    macvlan: () => void link(`${prefix}m1`, 'link', 'wire0', 'type', 'macvlan'),
    vxlan: () => void link(`${prefix}x1`, 'type', 'vxlan', 'id', '7', 'dstport', '4789'),
    'intermediate functional block': () => void link(`${prefix}i1`, 'type', 'ifb'),
    'IPv4 address on a bridge': () => void run('ip', 'addr', 'add', '10.45.0.1/24', 'dev', bridge),
    'IPv6 address on a bridge': () => void run('ip', 'addr', 'add', 'fd45::1/64', 'dev', bridge, 'nodad'),
    'IPv4 route over a bridge': () => void run('ip', 'route', 'add', '10.46.0.0/24', 'dev', bridge),
    'IPv6 route over a bridge': () => void run('ip', '-6', 'route', 'add', 'fd46::/64', 'dev', bridge),
    'IPv4 neighbour that is no container': () =>
      void run(
        'ip',
        'neigh',
        'add',
        addressIn(4, '99'),
        'lladdr',
        '02:42:00:00:00:99',
        'dev',
        bridge,
        'nud',
        'permanent',
      ),
    'IPv6 neighbour that is no container': () =>
      void run(
        'ip',
        'neigh',
        'add',
        addressIn(6, '99'),
        'lladdr',
        '02:42:00:00:00:99',
        'dev',
        bridge,
        'nud',
        'permanent',
      ),
    'token bucket on a link': () =>
      void run(
        'tc',
        'qdisc',
        'add',
        'dev',
        outerLink(),
        'root',
        'tbf',
        'rate',
        '1mbit',
        'burst',
        '10k',
        'latency',
        '10ms',
      ),
    'ingress queue on a link': () => void run('tc', 'qdisc', 'add', 'dev', outerLink(), 'ingress'),
    'setting route_localnet of an IPv6 bridge': () =>
      writeFileSync(`/proc/sys/net/ipv4/conf/${bridge6}/route_localnet`, '1'),
    'setting accept_ra of a bridge': () => writeFileSync(`/proc/sys/net/ipv6/conf/${bridge}/accept_ra`, '1'),
    'published IPv4 port': () => element('ports4', `tcp . 9001 : ${addressIn(4, '98')} . 80`),
    'published IPv4 port of one address': () =>
      element('ports4-at', `${hostAddress} . tcp . 9002 : ${addressIn(4, '98')} . 80`),
    'published IPv6 port': () => element('ports6', `udp . 9003 : ${addressIn(6, '98')} . 80`),
    'published IPv6 port of one address': () =>
      element('ports6-at', `${hostAddress6} . sctp . 9004 : ${addressIn(6, '98')} . 80`),
    'bridge in the rules': () => element('bridges', '"gtold0"'),
    'IPv4 subnet in the rules': () => element('subnets4', '10.47.0.0/24'),
    'IPv6 subnet in the rules': () => element('subnets6', 'fd47::/64'),
    'IPv4 hairpin in the rules': () => element('hairpin4', '10.47.0.0/24 . "gtold0"'),
    'IPv6 hairpin in the rules': () => element('hairpin6', 'fd47::/64 . "gtold0"'),
    'open bridge in the rules': () => element('same', '"gtold0" . "gtold0"'),
    'internal bridge in the rules': () => element('internal', '"gtold0"'),
    'chain in our table': () => nft('add', 'chain', 'inet', table, 'old'),
    'hooked chain in our table': () =>
      nft('add', 'chain', 'inet', table, 'oldhook', '{ type filter hook input priority 5; policy accept; }'),
    'set in our table': () => nft('add', 'set', 'inet', table, 'oldset', '{ type ipv4_addr; }'),
    'map in our table': () => nft('add', 'map', 'inet', table, 'oldmap', '{ type inet_service : ipv4_addr; }'),
    'rule in a chain of ours': () => nft('add', 'rule', 'inet', table, 'forward', 'ip', 'daddr', '10.48.0.1', 'accept'),
    'table of ours, family ip': () => nft('add', 'table', 'ip', table),
    'table of ours, family ip6': () => nft('add', 'table', 'ip6', table),
    'table of ours, family bridge': () => nft('add', 'table', 'bridge', table),
    'table of ours, family netdev': () => nft('add', 'table', 'netdev', table),
    'table of an earlier version': () => nft('add', 'table', 'inet', `${table}-v0`),
    // A kernel may keep its list of connections from /proc.
    ...(existsSync('/proc/net/nf_conntrack') && {
      'tracked IPv4 flow to nobody': flowOfNobody(hostAddress, 8801),
      'tracked IPv6 flow to nobody': flowOfNobody(hostAddress6, 8802),
    }),
    'redirection to a name server that is not there': () =>
      void world.in(sixth.netns, 'nft', 'add', 'table', 'ip', 'gantry-redirect'),
    'attachment without a container': async () => {
      const ports = [{ protocol: 'tcp', hostPort: 9005, containerPort: 80, hostIp: '', count: 2 }]
      await world.attach(plugin, network, 'lost', ports)
    },
    'attachment whose namespace is gone': async () => {
      const { netns } = await world.attach(plugin, network, 'lostns')
      run('umount', netns)
    },
  }

  test(`${Object.keys(kinds).length} kinds of leftovers`, { timeout: 280_000 }, async t => {
    assert.deepEqual(await collect(false), [], 'nothing to collect at first')
    const whole = everything(world, [kept, sixth])
    for (const [kind, inject] of Object.entries(kinds)) {
      const whenGone = await inject()
      const injected = everything(world, [kept, sixth])
      if (!whenGone) assert.notEqual(injected, whole, `${kind}: it is there`)
      const named = await collect(true)
      assert.ok(named.length > 0, `${kind}: found`)
      assert.deepEqual(difference(everything(world, [kept, sixth]), injected), [], `${kind}: a dry run touches nothing`)
      const removed = await collect(false)
      t.diagnostic(`| ${kind} | ${removed.join('; ')} |`)
      assert.ok(removed.length > 0, `${kind}: removed`)
      await settle(() => everything(world, [kept, sixth]) === whole)
      const differs = difference(everything(world, [kept, sixth]), whole)
      assert.deepEqual(differs, [], `${kind}: as before, and other people's things untouched`)
      await whenGone?.()
      assert.deepEqual(await collect(false), [], `${kind}: once is enough`)
      await plugin.check(kept.request)
      await plugin.check(sixth.request)
    }
  })
}

/** What of the same kinds is there for other reasons. */
function otherPeoplesThings(world: World, kept: Container, bridge: string): void {
  run('ip', 'link', 'add', 'gtffffffv1', 'type', 'veth', 'peer', 'name', 'gtffffffv2')
  run('ip', 'link', 'add', 'br-other', 'type', 'bridge')
  run('ip', 'link', 'set', 'br-other', 'alias', `gantry ffffffff network ${'d'.repeat(64)}`)
  run('ip', 'addr', 'add', '10.60.0.1/24', 'dev', 'br-other')
  run('ip', 'link', 'set', 'br-other', 'up')
  run('ip', 'route', 'add', '10.61.0.0/24', 'dev', 'br-other')
  run('ip', 'neigh', 'add', '10.60.0.9', 'lladdr', '02:42:00:00:00:09', 'dev', 'br-other', 'nud', 'permanent')
  run('tc', 'qdisc', 'add', 'dev', 'gtffffffv1', 'root', 'tbf', 'rate', '1mbit', 'burst', '10k', 'latency', '10ms')
  // A way through a container, as to a VPN in it, and the container's own neighbour entry.
  run('ip', 'route', 'add', '10.62.0.0/16', 'via', kept.address)
  const mac = kept.result.interfaces[2]?.mac ?? ''
  run('ip', 'neigh', 'replace', kept.address, 'lladdr', mac, 'dev', bridge, 'nud', 'permanent')
  for (const table of ['inet gantry-ffffffff', 'ip gantry', 'inet filter'])
    run(
      'nft',
      `add table ${table}; add chain ${table} c; add set ${table} s { type ipv4_addr; }; add rule ${table} c ip saddr 10.0.0.1 drop`,
    )
  run('iptables', '-t', 'nat', '-A', 'POSTROUTING', '-s', '10.63.0.0/24', '-j', 'MASQUERADE')
  world.in(kept.netns, 'nft', 'add', 'table', 'ip', 'own')
  world.in(kept.netns, 'ip', 'addr', 'add', '10.64.0.1/32', 'dev', 'lo')
}

/** As text: links, addresses, routes, neighbours, queues, rules, settings, on the host and in the container. */
function everything(world: World, containers: readonly Container[]): string {
  const links = run('ip', '-d', '-o', 'link')
    .replace(/^\d+: /gm, '')
    .replace(/ \S+_timer\s+\S+/g, '')
  const settings = ['ipv4/conf/*/route_localnet', 'ipv6/conf/*/accept_ra', 'ipv6/conf/*/disable_ipv6']
  const inside = (...argv: string[]) => containers.map(({ netns }) => world.in(netns, ...argv)).join('\n')
  return [
    links.replace(/@if\d+|link-netnsid \d+|state \S+/g, ''),
    run('ip', '-o', 'addr').replace(/^\d+: /gm, ''),
    run('ip', 'route'),
    run('ip', '-6', 'route'),
    run('ip', 'neigh', 'show', 'nud', 'permanent'),
    run('tc', 'qdisc').replace(/ refcnt \d+/g, ''),
    run('nft', 'list', 'ruleset'),
    run('sh', '-c', `cd /proc/sys/net && grep -H . ${settings.join(' ')}`),
    inside('nft', 'list', 'ruleset'),
    inside('ip', '-o', 'addr'),
  ]
    .map(text => text.replaceAll(' tentative', ''))
    .map(text =>
      text
        .trim()
        .split('\n')
        .map(line => line.trimEnd())
        .sort()
        .join('\n'),
    )
    .join('\n---\n')
}

/** Lines that only one of both has. */
function difference(now: string, then: string): string[] {
  const [a, b] = [new Set(now.split('\n')), new Set(then.split('\n'))]
  return [...a.difference(b)].map(line => `+ ${line}`).concat([...b.difference(a)].map(line => `- ${line}`))
}

function flows(): string {
  return readFileSync('/proc/net/nf_conntrack', 'utf8')
}

/** A process in a namespace, for ip-link(8). */
function pidIn(world: World, netns: string): string {
  return world.in(netns, 'sh', '-c', 'sleep 2 >/dev/null 2>&1 & echo $!').trim()
}

async function settle(isWell: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 5000; !isWell() && Date.now() < deadline; )
    await new Promise(resolve => setTimeout(resolve, 20))
}

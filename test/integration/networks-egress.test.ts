/** Containers with an egress allow-list: what it lets through, and nothing else, tried with real packets. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { AddRequest, Network, NetworkPlugin } from '#sdk/network.ts'
import { inPrivateHost } from '#sdk/network-private.ts'
import { fails } from '#sdk/network-suite.ts'
import {
  hostAddress,
  openNetwork,
  outsideAddress,
  outsideAddress6,
  type PluginProcess,
  run,
  until,
  World,
} from './networks-world.ts'

const serverMain = fileURLToPath(new URL('networks-name-server.ts', import.meta.url))
const nameServerAddress = '127.0.0.53'
const option = 'gantry.network.egress'
const [allowed, other] = [7001, 7002]
const table = 'gantry-egress-e6e50001'
const name = 'a-10-99-0-2.example'
const name6 = 'six-fd99-0-0-0-0-0-0-2.example'

interface Guarded {
  readonly netns: string
  readonly request: AddRequest
  readonly address: string
  readonly address6: string
}

if (inPrivateHost(fileURLToPath(import.meta.url))) {
  let world: World
  let process_: PluginProcess
  let plugin: NetworkPlugin
  let network: Network
  let server: ChildProcess

  before(async () => {
    world = await World.create()
    const resolvConf = join(world.dir, 'resolv.conf')
    writeFileSync(resolvConf, `nameserver ${nameServerAddress}\n`)
    run('mount', '--bind', resolvConf, '/etc/resolv.conf')
    server = spawn(process.execPath, [serverMain, 'serve', nameServerAddress], { stdio: ['ignore', 'pipe', 'inherit'] })
    await new Promise(resolve => server.stdout?.once('data', resolve))
    process_ = await world.plugin('e6e50001')
    plugin = process_.plugin
    network = await plugin.createNetwork(openNetwork('e', { name: 'guarded' }))
    for (const port of [allowed, other]) await world.serve(world.outside, port)
    await world.serve('/proc/self/ns/net', allowed)
  })
  after(async () => {
    server.kill('SIGKILL')
    run('umount', '/etc/resolv.conf')
    await world[Symbol.asyncDispose]()
  })

  const attach = async (id: string, egress: string, change: Partial<AddRequest> = {}): Promise<Guarded> => {
    const options: Record<string, string> = egress === '' ? {} : { [option]: egress }
    const request = { ...(await world.wish(network, id)), aliases: [id], options, ...change }
    const { ips } = await plugin.add(request)
    const [address = '', address6 = ''] = ips.map(ip => ip.address.split('/')[0] ?? '')
    return { netns: request.netnsPath, request, address, address6 }
  }
  const setList = async ({ request }: Guarded, egress: string) => {
    const { networkId, containerId, interfaceName } = request
    const values: Record<string, string> = egress === '' ? {} : { [option]: egress }
    await process_.client.update({ networkId, containerId, interfaceName, endpointOptions: { values } })
  }
  const reaches = ({ netns }: Guarded, host: string, port = allowed, protocol: 'tcp' | 'udp' = 'tcp') =>
    !['no answer', 'EHOSTUNREACH'].includes(world.ask(netns, protocol, host, port))
  const resolves = ({ netns }: Guarded, wanted: string, type = 'A') =>
    world.in(netns, 'dig', '@127.0.0.11', '+tries=1', '+timeout=9', wanted, type)

  test('addresses with and without ports, both families; all else is dropped and counted', async () => {
    const one = await attach('one', `${outsideAddress}:${allowed} ${outsideAddress}:${other}/udp fd99::/64`)
    assert.ok(reaches(one, outsideAddress))
    assert.ok(!reaches(one, outsideAddress, other), 'another port')
    assert.ok(reaches(one, outsideAddress, other, 'udp'))
    assert.ok(!reaches(one, outsideAddress, allowed, 'udp'))
    assert.ok(reaches(one, outsideAddress6, other) && reaches(one, outsideAddress6, other, 'udp'), 'the whole subnet')
    assert.ok(!reaches(one, hostAddress), 'the host itself')
    assert.match(counted(one.address), /packets [1-9]/)

    await setList(one, 'none')
    assert.ok(!reaches(one, outsideAddress) && !reaches(one, outsideAddress6, other))
    await setList(one, `10.99.0.0/16:7000-7001,${hostAddress}`)
    assert.ok(reaches(one, outsideAddress) && !reaches(one, outsideAddress, other))
    assert.ok(reaches(one, hostAddress))
    await setList(one, '')
    assert.ok(reaches(one, outsideAddress, other), 'no list any more')
    assert.ok(!run('nft', 'list', 'tables').includes(table))
    await plugin.del(one.request)
  })

  test('neighbours of the same network are no exception; who connects to it is answered', async () => {
    const sibling = await attach('sibling', '')
    const one = await attach('one', 'none', {
      ports: [{ protocol: 'tcp', hostPort: 8080, containerPort: allowed, hostIp: '', count: 1 }],
    })
    for (const each of [one, sibling]) await world.serve(each.netns, allowed)
    for (const address of [sibling.address, sibling.address6]) assert.ok(!reaches(one, address), address)
    assert.equal(world.ask(sibling.netns, 'tcp', one.address, allowed), sibling.address)
    assert.equal(world.ask(sibling.netns, 'tcp', one.address6, allowed), sibling.address6)
    assert.equal(world.ask(world.outside, 'tcp', hostAddress, 8080), outsideAddress, 'by its published port')
    await setList(one, 'sibling')
    assert.ok(!reaches(one, sibling.address), 'before it asked for the name')
    assert.match(resolves(one, 'sibling'), new RegExp(sibling.address))
    assert.ok(reaches(one, sibling.address))
    for (const { request } of [one, sibling]) await plugin.del(request)
  })

  test('names open their addresses when they are asked for; nothing else is asked for', async () => {
    const one = await attach('one', `${name}:${allowed}, *.example:${allowed}/udp, ${name6}`)
    assert.ok(!reaches(one, outsideAddress), 'nobody has asked yet')
    assert.match(resolves(one, name), /10\.99\.0\.2/)
    assert.ok(reaches(one, outsideAddress) && reaches(one, outsideAddress, allowed, 'udp'))
    assert.ok(!reaches(one, outsideAddress, other))
    assert.match(resolves(one, name6, 'AAAA'), /fd99::2/)
    assert.ok(reaches(one, outsideAddress6, other))
    assert.match(run('nft', 'list', 'set', 'inet', table, 'named4-port'), /timeout 1m(30|29)s\S* expires 1m/)
    assert.match(resolves(one, 'a-10-99-0-2.example.org'), /status: REFUSED/)
    assert.match(resolves(one, '2.0.99.10.in-addr.arpa', 'PTR'), /status: REFUSED/)
    assert.ok(!reaches(one, outsideAddress, 53, 'udp'), 'raw DNS')

    // Whoever takes it away, and whoever dies: what was learned comes back.
    run('nft', 'flush', 'ruleset')
    await until(() => run('nft', 'list', 'tables').includes(`inet ${table}`))
    assert.ok(reaches(one, outsideAddress) && !reaches(one, outsideAddress, other))
    run('nft', 'delete', 'table', 'bridge', table)
    await until(() => run('nft', 'list', 'tables').includes(`bridge ${table}`))
    await process_.kill()
    assert.ok(!reaches(one, outsideAddress, other), 'in force without the plugin')
    await process_.start()
    assert.ok(reaches(one, outsideAddress) && !reaches(one, outsideAddress, other))

    // An answer that points to the metadata service or the host's loopback opens nothing.
    assert.match(resolves(one, 'a-169-254-169-254.example'), /169\.254\.169\.254/)
    assert.ok(!run('nft', 'list', 'set', 'inet', table, 'named4-port').includes('169.254'))
    await plugin.del(one.request)
    await until(() => !run('nft', 'list', 'tables').includes(table))
  })

  test('with another address or MAC than its own it sends nothing', async () => {
    const one = await attach('one', '10.99.0.0/16')
    assert.ok(reaches(one, outsideAddress))
    const [own, prefix] = [one.address, '24']
    const stolen = own.replace(/\d+$/, '77')
    world.in(one.netns, 'ip', 'addr', 'add', `${stolen}/${prefix}`, 'dev', 'eth0')
    world.in(one.netns, 'ip', 'route', 'replace', 'default', 'via', own.replace(/\d+$/, '1'), 'src', stolen)
    assert.ok(!reaches(one, outsideAddress), 'a stolen address')
    world.in(one.netns, 'ip', 'addr', 'del', `${stolen}/${prefix}`, 'dev', 'eth0')
    world.in(one.netns, 'ip', 'route', 'replace', 'default', 'via', own.replace(/\d+$/, '1'), 'src', own)
    assert.ok(reaches(one, outsideAddress))
    world.in(one.netns, 'ip', 'link', 'set', 'eth0', 'address', '02:42:00:00:00:77')
    assert.ok(!reaches(one, outsideAddress), 'a stolen MAC')
    await plugin.del(one.request)
  })

  test('a list that is none is refused, and nothing stays', async () => {
    for (const [list, why] of [
      ['10.0.0.1/8', /host bits/],
      ['example.org:80-90', /a name takes one/],
      ['exa mple..org', /neither an address nor a name/],
      ['10.0.0.0/8:0', /none of the forms/],
    ] as const)
      await assert.rejects(attach('bad', list), fails('INVALID_ARGUMENT', why))
    const removed = await plugin.gc(network.id, [])
    assert.deepEqual(
      removed.filter(line => !line.startsWith('connection')),
      [],
    )
    assert.ok(!run('nft', 'list', 'tables').includes(table))
  })

  const counted = (address: string) =>
    run('nft', 'list', 'set', 'inet', table, 'denied4')
      .split(/[{},\n]/)
      .find(text => text.includes(address)) ?? ''
}

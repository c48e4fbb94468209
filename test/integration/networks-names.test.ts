/** Containers find one another by name, and the world too, whoever dies; asked with dig from their namespaces. */
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { AddRequest, Network, NetworkPlugin } from '#sdk/network.ts'
import { inPrivateHost } from '#sdk/network-private.ts'
import { type Container, openNetwork, type PluginProcess, run, World } from './networks-world.ts'

const serverMain = fileURLToPath(new URL('networks-name-server.ts', import.meta.url))
const [hostServer, ownServer] = ['127.0.0.53', '127.0.0.54']
const dig = '/usr/bin/dig'

if (!existsSync(dig)) test('names', { skip: 'needs dig (Debian package bind9-dnsutils)' }, () => {})
else if (inPrivateHost(fileURLToPath(import.meta.url))) {
  let world: World
  let process_: PluginProcess
  let plugin: NetworkPlugin
  let [blue, red]: Network[] = []
  const servers: ChildProcess[] = []

  before(async () => {
    world = await World.create()
    const resolvConf = join(world.dir, 'resolv.conf')
    writeFileSync(resolvConf, `search host.example\nnameserver 127.9.9.9\nnameserver ${hostServer}\n`)
    run('mount', '--bind', resolvConf, '/etc/resolv.conf')
    for (const address of [hostServer, ownServer]) servers.push(await nameServer(address))
    process_ = await world.plugin('a5a5a5a5')
    plugin = process_.plugin
    blue = await plugin.createNetwork(openNetwork('b', { name: 'blue' }))
    red = await plugin.createNetwork(openNetwork('c', { name: 'red' }))
  })
  after(async () => {
    for (const server of servers) server.kill('SIGKILL')
    run('umount', '/etc/resolv.conf')
    await world[Symbol.asyncDispose]()
  })

  const attach = async (network: Network | undefined, id: string, change: Partial<AddRequest> = {}) => {
    const request = { ...(await world.wish(network as Network, id)), aliases: [id], ...change }
    const result = await plugin.add(request)
    const [four = '', six = ''] = result.ips.map(({ address }) => address.split('/')[0] ?? '')
    return { id, netns: request.netnsPath, request, result, address: four, six }
  }

  test('by name, alias, full name and address, in both families', async () => {
    const db = await attach(blue, 'db', { aliases: ['db', 'Postgres'] })
    const web = await attach(blue, 'web')
    assert.deepEqual(web.result.dns, { nameservers: ['127.0.0.11'], domain: '', search: [], options: ['ndots:0'] })
    for (const name of ['db', 'DB', 'postgres', 'db.blue']) {
      assert.deepEqual(await ask(web, name), [db.address])
      assert.deepEqual(await ask(web, name, 'AAAA'), [db.six])
    }
    for (const address of [db.address, db.six]) assert.deepEqual(await ask(web, '-x', address), ['db.blue.'])
    assert.deepEqual(await ask(web, 'web'), [web.address])
    assert.deepEqual(await ask(web, 'db', 'TXT'), [], 'no other type, and nobody else is asked')
    const stranger = await attach(red, 'stranger')
    assert.match(await whole(stranger, 'db'), /status: NXDOMAIN/)
    assert.match(await whole(stranger, '-x', db.address), /status: NXDOMAIN/)
    for (const { request } of [db, web, stranger]) await plugin.del(request)
    const later = await attach(blue, 'later')
    assert.match(await whole(later, 'db'), /status: NXDOMAIN/)
    await plugin.del(later.request)
  })

  test('a service is all who have its name, in turn', async () => {
    const members = []
    for (const id of ['s1', 's2', 's3']) members.push(await attach(blue, id, { aliases: [id, 'service'] }))
    const [asker] = members
    assert.ok(asker)
    const firsts = new Set<string | undefined>()
    for (let i = 0; i < 3; i++) {
      const found = await ask(asker, 'service')
      assert.deepEqual([...found].sort(), members.map(({ address }) => address).sort())
      firsts.add(found[0])
    }
    assert.equal(firsts.size, 3)
    await plugin.del(members[1]?.request as AddRequest)
    assert.equal((await ask(asker, 'service')).length, 2)
    const [first] = members
    await plugin.update?.({
      ...(first?.request as AddRequest),
      publish: [],
      unpublish: [],
      names: { aliases: ['renamed'] },
    })
    assert.equal((await ask(asker, 'service')).length, 1)
    assert.deepEqual(await ask(asker, 'renamed'), [first?.address])
    for (const { request } of members) await plugin.del(request)
  })

  test('other names are asked of the host’s servers, or of the container’s own; by TCP what is too long', async () => {
    const one = await attach(blue, 'one')
    assert.deepEqual(await ask(one, 'a-192-0-2-7.example'), ['192.0.2.7'])
    assert.deepEqual(await ask(one, '+tcp', 'a-192-0-2-8.example'), ['192.0.2.8'])
    assert.match(await whole(one, '+ignore', '+noedns', 'large.example'), /flags:[^;]* tc/)
    assert.equal((await ask(one, 'large.example')).length, 60)
    assert.match(await whole(one, 'nothing.example'), /status: NXDOMAIN/)
    const dns = { nameservers: [ownServer], domain: '', search: [], options: [] }
    const two = await attach(blue, 'two', { dns })
    servers[0]?.kill('SIGKILL')
    assert.deepEqual(await ask(two, 'a-192-0-2-9.example'), ['192.0.2.9'])
    assert.match(await whole(one, '+tries=1', '+timeout=9', 'a-192-0-2-9.example'), /status: SERVFAIL/)
    servers[0] = await nameServer(hostServer)
    for (const { request } of [one, two]) await plugin.del(request)
  })

  test('what the client says by EDNS reaches the server, what the server says the client; large answers in one datagram', async () => {
    const one = await attach(blue, 'one')
    const asked = ['+bufsize=1400', '+dnssec', '+nocookie', '+ednsopt=65001:beef']
    assert.deepEqual(await ask(one, ...asked, 'edns.example', 'TXT'), ['"1400 do=true 65001=beef"'])
    assert.match(await whole(one, ...asked, 'edns.example', 'TXT'), /OPT=65001: ca fe/)
    assert.deepEqual(await ask(one, '+noedns', 'edns.example', 'TXT'), ['"none"'])
    const large = await whole(one, '+bufsize=4096', '+ignore', 'large.example')
    assert.match(large, /ANSWER: 60,/)
    assert.match(large, /\(UDP\)/)
    assert.doesNotMatch(large, /flags:[^;]* tc/)
    // More than the client can take: by TCP, and it is told so by a server that knows EDNS.
    const cut = await whole(one, '+bufsize=512', '+ignore', 'large.example')
    assert.match(cut, /flags:[^;]* tc[\s\S]*EDNS: version: 0/)
    assert.equal((await ask(one, '+bufsize=512', 'large.example')).length, 60)
    await plugin.del(one.request)
  })

  test('a name of ours with more holders than a datagram takes: cut without EDNS, whole with it', async () => {
    const members = []
    for (let i = 0; i < 40; i++) members.push(await attach(blue, `m${i}`, { aliases: [`m${i}`, 'crowd'] }))
    const [one = { netns: '' }] = members
    assert.match(await whole(one, '+ignore', '+noedns', 'crowd'), /flags:[^;]* tc/)
    assert.match(await whole(one, '+ignore', '+bufsize=1232', 'crowd'), /ANSWER: 40,/)
    assert.equal((await ask(one, '+noedns', 'crowd')).length, 40)
    await Promise.all(members.map(({ request }) => plugin.del(request)))
  })

  test('links are seen by their owner alone', async () => {
    const db = await attach(blue, 'db')
    const owner = await attach(blue, 'owner', { links: { mysql: 'db' } })
    assert.deepEqual(await ask(owner, 'mysql'), [db.address])
    assert.match(await whole(db, 'mysql'), /status: NXDOMAIN/)
    for (const { request } of [db, owner]) await plugin.del(request)
  })

  test('on two networks, the names of both; after leaving one, those of the other', async () => {
    const [b, r] = [await attach(blue, 'b'), await attach(red, 'r')]
    const both = await attach(blue, 'both')
    const second = { ...both.request, networkId: red?.id ?? '', interfaceName: 'eth1' }
    await plugin.add(second)
    assert.deepEqual([await ask(both, 'b'), await ask(both, 'r')], [[b.address], [r.address]])
    await plugin.del(both.request)
    assert.match(await whole(both, 'b'), /status: NXDOMAIN/)
    assert.deepEqual(await ask(both, 'r'), [r.address])
    for (const request of [second, b.request, r.request]) await plugin.del(request)
  })

  test('an internal network has names, and no questions leave it', async () => {
    const inner = await plugin.createNetwork(openNetwork('d', { name: 'inner', internal: true }))
    const [one, two] = [await attach(inner, 'one'), await attach(inner, 'two')]
    assert.deepEqual(await ask(one, 'two'), [two.address])
    assert.match(await whole(one, 'a-192-0-2-7.example'), /status: SERVFAIL/)
    for (const { request } of [one, two]) await plugin.del(request)
    await plugin.removeNetwork(inner.id)
  })

  test('the network "bridge" has no names unless told so', async () => {
    const bridge = await plugin.createNetwork(openNetwork('e', { name: 'bridge' }))
    const plain = await attach(bridge, 'plain')
    assert.equal(plain.result.dns, undefined)
    await plugin.del(plain.request)
    await plugin.removeNetwork(bridge.id)
    const options = { 'gantry.network.names': 'true' }
    const named = await plugin.createNetwork(openNetwork('f', { name: 'bridge', options }))
    const one = await attach(named, 'one')
    assert.deepEqual(await ask(one, 'one'), [one.address])
    await plugin.del(one.request)
    await plugin.removeNetwork(named.id)
  })

  test('a program of the container may have port 53 on all addresses', async () => {
    const one = await attach(blue, 'one')
    const own = await nameServer('0.0.0.0', one.netns)
    servers.push(own)
    assert.deepEqual(await ask(one, 'one'), [one.address])
    const { stdout } = await promisify(execFile)('nsenter', [
      `--net=${one.netns}`,
      dig,
      '+short',
      '@127.0.0.1',
      'a-192-0-2-1.example',
    ])
    assert.equal(stdout.trim(), '192.0.2.1')
    await plugin.del(one.request)
  })

  test('killed and started again, the plugin answers at once', async () => {
    const [one, two] = [await attach(blue, 'one'), await attach(blue, 'two')]
    for (let i = 0; i < 2; i++) {
      await process_.kill()
      await process_.start()
      assert.deepEqual(await ask(one, '+tries=1', 'two'), [two.address])
      assert.deepEqual(await ask(one, '+tries=1', '+tcp', 'two'), [two.address])
    }
    for (const { request } of [one, two]) await plugin.del(request)
  })

  test('5,000 questions in a second, and none is lost', async t => {
    const one = await attach(blue, 'one')
    const argv = [`--net=${one.netns}`, process.execPath, serverMain, 'flood', '127.0.0.11', 'one', '5000']
    const { stdout } = await promisify(execFile)('nsenter', argv)
    t.diagnostic(`5000 asked within a second: ${stdout.trim().replace(' ', ' answers after ')} ms`)
    assert.equal(stdout.split(' ')[0], '5000')
    await plugin.del(one.request)
  })
}

type Asker = Pick<Container, 'netns'>

/** The answers alone. */
async function ask({ netns }: Asker, ...question: string[]): Promise<string[]> {
  const argv = [`--net=${netns}`, dig, '@127.0.0.11', '+short', ...question]
  const { stdout } = await promisify(execFile)('nsenter', argv)
  return stdout.split('\n').filter(line => line !== '')
}

/** All that dig prints. */
async function whole({ netns }: Asker, ...question: string[]): Promise<string> {
  return (await promisify(execFile)('nsenter', [`--net=${netns}`, dig, '@127.0.0.11', ...question])).stdout
}

async function nameServer(address: string, netns?: string): Promise<ChildProcess> {
  const argv = [process.execPath, serverMain, 'serve', address]
  const [program = '', ...args] = netns === undefined ? argv : ['nsenter', `--net=${netns}`, ...argv]
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise(resolve => child.stdout?.once('data', resolve))
  return child
}

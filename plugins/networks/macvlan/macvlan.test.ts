import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createNetns, removeNetns } from '#api/sys/sys.ts'
import { openNetworkPlugin } from '#sdk/define-network.ts'
import type { AddRequest, Network, NetworkPlugin } from '#sdk/network.ts'
import { inPrivateHost } from '#sdk/network-private.ts'
import { addRequest, fails, networkSuite, openNetwork } from '#sdk/network-suite.ts'
import { macvlan } from './macvlan.ts'

const run = (...[program = '', ...args]: string[]) =>
  execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

const wire = {
  subnets: [
    { cidr: '10.77.0.0/24', gateway: '10.77.0.254', range: '10.77.0.64/27', reserved: { '10.77.0.64': 'printer' } },
    { cidr: 'fd77::/64', gateway: '', range: '', reserved: {} },
  ],
  options: { parent: 'wire0' },
}

/** The suite's networks leave everything open; these have a parent and subnets. */
function onWire(plugin: NetworkPlugin): NetworkPlugin {
  const placed = (network: Network) => (network.subnets.length === 0 ? { ...network, ...wire } : network)
  return new Proxy(plugin, {
    get: (target, key) => {
      if (key === 'createNetwork') return (network: Network) => target.createNetwork(placed(network))
      const value: unknown = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

if (inPrivateHost(fileURLToPath(import.meta.url))) {
  run('ip', 'link', 'add', 'wire0', 'type', 'veth', 'peer', 'name', 'wire1')
  for (const link of ['wire0', 'wire1', 'lo']) run('ip', 'link', 'set', link, 'up')

  networkSuite('macvlan', {
    ownNamespace: true,
    open: async root => onWire(await openNetworkPlugin(macvlan, { root })),
  })

  /** A plugin, and so many containers; `machine` is another machine on the wire (10.77.0.254, fd77::1). */
  const withRoom = async (
    work: (room: { plugin: NetworkPlugin; netns: readonly string[]; machine: string }) => Promise<void>,
  ) => {
    const dir = mkdtempSync(join(tmpdir(), 'gantry-mv-'))
    const pins = ['machine', 'a', 'b'].map(name => join(dir, name))
    for (const pin of pins) await createNetns(pin)
    const [machine = '', ...netns] = pins
    const sleeper = run('sh', '-c', `nsenter --net=${machine} sleep 60 >/dev/null 2>&1 & echo $!`).trim()
    while (run('readlink', `/proc/${sleeper}/ns/net`) === run('readlink', '/proc/self/ns/net'));
    run('ip', 'link', 'set', 'wire1', 'netns', sleeper)
    const at = (...argv: string[]) => run('nsenter', `--net=${machine}`, ...argv)
    at('ip', 'addr', 'add', '10.77.0.254/24', 'dev', 'wire1')
    at('ip', 'addr', 'add', 'fd77::1/64', 'dev', 'wire1', 'nodad')
    at('ip', 'link', 'set', 'wire1', 'up')
    const plugin = await openNetworkPlugin(macvlan, { root: join(dir, 'root') })
    try {
      await work({ plugin, netns, machine })
    } finally {
      at('ip', 'link', 'set', 'wire1', 'netns', String(process.pid))
      run('ip', 'link', 'set', 'wire1', 'up')
      process.kill(Number(sleeper))
      await plugin.close()
      for (const pin of pins) await removeNetns(pin)
      rmSync(dir, { recursive: true })
    }
  }
  const ping = (netns: string, address: string) =>
    run('nsenter', `--net=${netns}`, 'ping', '-c1', '-W3', address).includes(' 0% packet loss')

  test('machines of the wire, both families, with chosen and given addresses', async () => {
    await withRoom(async ({ plugin, netns: [a = '', b = ''], machine }) => {
      const network = await plugin.createNetwork(openNetwork('a', wire))
      assert.equal(network.mtu, 1500)
      const one = await plugin.add(addRequest(network.id, 'one', a))
      assert.deepEqual(
        one.ips.map(({ address, gateway }) => `${address} ${gateway}`),
        ['10.77.0.65/24 10.77.0.254', 'fd77::2/64 fd77::1'],
      )
      const given = { addresses: ['10.77.0.9', 'fd77::9'], mac: '02:00:00:00:00:09' }
      const two = await plugin.add({ ...addRequest(network.id, 'two', b), ...given })
      assert.equal(two.interfaces[0]?.mac, given.mac)
      for (const address of ['10.77.0.254', 'fd77::1', ...given.addresses]) assert.ok(ping(a, address), address)
      for (const address of ['10.77.0.65', 'fd77::2']) assert.ok(ping(machine, address) && ping(b, address), address)
      const other = addRequest(network.id, 'three', b)
      const taken: readonly [Partial<AddRequest>, RegExp][] = [
        [{ addresses: ['10.77.0.9'] }, /belongs to container two/],
        [{ addresses: ['10.77.0.254'] }, /is the gateway/],
        [{ mac: given.mac, interfaceName: 'eth1' }, /MAC .* belongs to container two/],
      ]
      for (const [change, why] of taken)
        await assert.rejects(plugin.add({ ...other, ...change }), fails('ALREADY_EXISTS', why))
      const port = { protocol: 'tcp', hostPort: 80, containerPort: 80, hostIp: '', count: 1 }
      await assert.rejects(plugin.add({ ...other, ports: [port] }), fails('INVALID_ARGUMENT', /publish none/))
      await assert.rejects(
        plugin.add({ ...other, addresses: ['10.9.9.9'] }),
        fails('INVALID_ARGUMENT', /outside the subnets/),
      )
      run('nsenter', `--net=${a}`, 'ip', 'addr', 'del', '10.77.0.65/24', 'dev', 'eth0')
      await assert.rejects(
        plugin.check(addRequest(network.id, 'one', a)),
        fails('FAILED_PRECONDITION', /10\.77\.0\.65/),
      )
      assert.deepEqual(await plugin.add(addRequest(network.id, 'one', a)), one)
      await plugin.gc(network.id, [])
      assert.doesNotMatch(run('nsenter', `--net=${a}`, 'ip', '-o', 'link'), /eth0/)
      await plugin.removeNetwork(network.id)
    })
  })

  test('in mode private the containers do not reach one another', async () => {
    await withRoom(async ({ plugin, netns: [a = '', b = ''] }) => {
      const options = { parent: 'wire0', macvlan_mode: 'private' }
      const network = await plugin.createNetwork(openNetwork('a', { ...wire, options }))
      await plugin.add(addRequest(network.id, 'one', a))
      const { ips } = await plugin.add(addRequest(network.id, 'two', b))
      assert.ok(ping(a, '10.77.0.254'))
      assert.throws(() => ping(a, ips[0]?.address.split('/')[0] ?? ''))
      await plugin.gc(network.id, [])
      await plugin.removeNetwork(network.id)
    })
  })

  test('what is wrong is told', async () => {
    await withRoom(async ({ plugin }) => {
      const bad = (change: Partial<Network>, code: 'INVALID_ARGUMENT' | 'NOT_FOUND', why: RegExp) =>
        assert.rejects(plugin.createNetwork(openNetwork('a', { ...wire, ...change })), fails(code, why))
      await bad({ subnets: [] }, 'INVALID_ARGUMENT', /needs the subnet/)
      await bad({ options: {} }, 'INVALID_ARGUMENT', /say which/)
      await bad({ options: { parent: 'wire0', macvlan_mode: 'fast' } }, 'INVALID_ARGUMENT', /"fast" is not one of/)
      await bad({ options: { parent: 'nowhere' } }, 'NOT_FOUND', /"nowhere"/)
      assert.deepEqual(await plugin.listNetworks(), [])
    })
  })
}

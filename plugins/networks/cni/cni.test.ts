import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createNetns, removeNetns } from '#api/sys/sys.ts'
import { openNetworkPlugin } from '#sdk/define-network.ts'
import type { NetworkPlugin } from '#sdk/network.ts'
import { inPrivateHost } from '#sdk/network-private.ts'
import { addRequest, fails, networkSuite, openNetwork } from '#sdk/network-suite.ts'
import { cni } from './cni.ts'

const binaries = '/usr/lib/cni'
const skip = existsSync(join(binaries, 'bridge')) ? false : 'needs Debian package containernetworking-plugins'

if (skip) test('cni', { skip }, () => {})
else if (inPrivateHost(fileURLToPath(import.meta.url))) {
  const dir = mkdtempSync(join(tmpdir(), 'gantry-cni-'))
  const dataDir = join(dir, 'addresses')
  const ipam = (subnet: string) => ({
    type: 'host-local',
    dataDir,
    ranges: [[{ subnet }]],
    routes: [{ dst: '0.0.0.0/0' }],
  })
  const list = (name: string, plugins: object[], cniVersion = '1.1.0') => JSON.stringify({ cniVersion, name, plugins })
  const bridge = (name: string, subnet: string) => ({
    type: 'bridge',
    bridge: name,
    isGateway: true,
    ipMasq: true,
    ipam: ipam(subnet),
  })

  // The suite's networks have no options; a network of this plugin cannot be without.
  const conflist = list('suite', [bridge('cnisuite0', '10.87.0.0/24'), { type: 'tuning' }])
  networkSuite('cni', {
    ownNamespace: true,
    async open(root) {
      const opened = await openNetworkPlugin(cni, { root, instance: 'c0c0c0c0' })
      const createNetwork = opened.createNetwork.bind(opened)
      opened.createNetwork = network => createNetwork({ ...network, options: { 'cni.conflist': conflist } })
      return opened
    },
  })

  let plugin: NetworkPlugin
  before(async () => {
    execFileSync('ip', ['link', 'set', 'lo', 'up'])
    plugin = await openNetworkPlugin(cni, {
      root: join(dir, 'root'),
      instance: 'c1c1c1c1',
      config: { config_directory: join(dir, 'net.d') },
    })
  })
  after(async () => {
    await plugin.close()
    rmSync(dir, { recursive: true })
  })

  /** A network of a list, and a container on it; `body` gets a way to run programs inside. */
  const onList = async (name: string, plugins: object[], body: (t: OnList) => Promise<void>) => {
    const digit = name.length.toString(16)
    const network = await plugin.createNetwork(
      openNetwork(digit, { name, options: { 'cni.conflist': list(name, plugins) } }),
    )
    const pin = join(dir, `${name}.ns`)
    await createNetns(pin)
    const request = addRequest(network.id, `default/${name}`, pin)
    const inside = (...argv: string[]) => execFileSync('nsenter', [`--net=${pin}`, ...argv], { encoding: 'utf8' })
    try {
      await body({ request, inside, pin })
    } finally {
      await plugin.gc(network.id, [])
      await plugin.removeNetwork(network.id)
      await removeNetns(pin)
    }
  }
  interface OnList {
    request: ReturnType<typeof addRequest>
    inside: (...argv: string[]) => string
    pin: string
  }

  test('bridge, portmap, firewall, tuning, bandwidth: wishes become capability arguments', async () => {
    const plugins = [
      { ...bridge('cnib0', '10.88.0.0/24'), capabilities: { mac: true, ips: true } },
      { type: 'portmap', capabilities: { portMappings: true } },
      { type: 'firewall', backend: 'iptables' },
      { type: 'tuning', sysctl: { 'net.core.somaxconn': '500' } },
      { type: 'bandwidth', ingressRate: 1_000_000, ingressBurst: 1_000_000 },
    ]
    await onList('whole', plugins, async ({ request, inside }) => {
      const port = { protocol: 'tcp', hostPort: 8080, containerPort: 80, hostIp: '', count: 2 }
      const wish = { ...request, ports: [port], mac: '02:42:0a:58:00:77', addresses: ['10.88.0.77'] }
      const result = await plugin.add(wish)
      assert.equal(result.ips[0]?.address, '10.88.0.77/24')
      assert.match(inside('ip', '-o', 'link', 'show', 'eth0'), /02:42:0a:58:00:77/)
      assert.equal(inside('sysctl', '-n', 'net.core.somaxconn').trim(), '500')
      inside('ping', '-c1', '-W2', '10.88.0.1')
      assert.match(
        execFileSync('iptables-save', { encoding: 'utf8' }),
        /--dport 8081 -j DNAT --to-destination 10\.88\.0\.77:81/,
      )
      // No CHECK here: portmap 1.1.1 looks for rules of IPv6 that it has not made for a container of IPv4 alone.
      await plugin.status()
      await plugin.del(wish)
      assert.doesNotMatch(execFileSync('iptables-save', { encoding: 'utf8' }), /10\.88\.0\.77/)
    })
  })

  test('ptp and macvlan', async () => {
    await onList('ptp', [{ type: 'ptp', ipMasq: false, ipam: ipam('10.89.0.0/24') }], async ({ request, inside }) => {
      const { ips } = await plugin.add(request)
      inside('ping', '-c1', '-W2', ips[0]?.gateway ?? '')
    })
    execFileSync('ip', ['link', 'add', 'parent0', 'type', 'veth', 'peer', 'name', 'parent1'])
    execFileSync('ip', ['link', 'set', 'parent0', 'up'])
    const macvlan = { type: 'macvlan', master: 'parent0', ipam: ipam('10.90.0.0/24') }
    await onList('macvlan', [macvlan], async ({ request, inside }) => {
      await plugin.add(request)
      assert.match(inside('ip', '-d', 'link', 'show', 'eth0'), /macvlan/)
    })
    execFileSync('ip', ['link', 'del', 'parent0'])
  })

  test('a lost namespace: DEL frees the address; GC frees what no record knows of', async () => {
    await onList('lost', [bridge('cnil0', '10.91.0.0/24')], async ({ request, pin }) => {
      const result = await plugin.add(request)
      const store = join(dataDir, 'lost')
      const address = result.ips[0]?.address.split('/')[0] ?? ''
      assert.ok(readdirSync(store).includes(address))
      await removeNetns(pin)
      await plugin.del(request)
      assert.ok(!readdirSync(store).includes(address))
      writeFileSync(join(store, '10.91.0.9'), 'c1c1c1c1.default.forgotten\r\neth0')
      writeFileSync(join(store, '10.91.0.10'), 'somebody-elses\r\neth0')
      assert.deepEqual(await plugin.gc(request.networkId, []), [
        'address 10.91.0.9 of c1c1c1c1.default.forgotten (host-local)',
      ])
      assert.ok(readdirSync(store).includes('10.91.0.10'))
    })
  })

  test('what cannot be is refused with the field, the binary’s words, and nothing left', async () => {
    const create = (options: Record<string, string>) => plugin.createNetwork(openNetwork('f', { options }))
    await assert.rejects(create({}), fails('INVALID_ARGUMENT', /cni\.name or cni\.conflist/))
    await assert.rejects(create({ 'cni.conflist': '{' }), fails('INVALID_ARGUMENT', /cni\.conflist is not JSON/))
    await assert.rejects(create({ 'cni.conflist': list('x', []) }), fails('INVALID_ARGUMENT', /plugins/))
    await assert.rejects(
      create({ 'cni.conflist': list('x', [{ type: 'nothere' }]) }),
      fails('NOT_FOUND', /"nothere" is in none of/),
    )
    await assert.rejects(create({ 'cni.name': 'x' }), fails('NOT_FOUND', /CNI network "x" in /))
    await onList('plain', [bridge('cnip0', '10.92.0.0/24')], async ({ request }) => {
      const ports = [{ protocol: 'tcp', hostPort: 80, containerPort: 80, hostIp: '', count: 1 }]
      await assert.rejects(plugin.add({ ...request, ports }), fails('INVALID_ARGUMENT', /capability "portMappings"/))
      await assert.rejects(plugin.check(request), fails('NOT_FOUND'))
    })
    const bad = [bridge('cniq0', '10.93.0.0/24'), { type: 'tuning', sysctl: { 'net.nothing.here': '1' } }]
    await onList('refusal', bad, async ({ request, inside }) => {
      await assert.rejects(plugin.add(request), fails('FAILED_PRECONDITION', /CNI tuning ADD: /))
      assert.doesNotMatch(inside('ip', '-o', 'link'), /eth0/)
      assert.ok(!readdirSync(join(dataDir, 'refusal')).some(name => name.startsWith('10.93')))
    })
  })
}

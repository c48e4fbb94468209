import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { afterEach, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createLogger } from '#api/log/log.ts'
import { parseIpv4, parseIpv4Subnet } from '../../network-addresses.ts'
import { inPrivateHost } from '../../network-private.ts'
import type { FirewallNetwork, PublishedPort } from '../firewall.ts'
import { Nftables } from './nftables.ts'

const log = createLogger({ name: 'test', level: 'error' })
const network: FirewallNetwork = {
  bridge: 'gttest0',
  subnet: parseIpv4Subnet('172.30.7.0/24'),
  internal: false,
  masquerade: true,
  intraTraffic: true,
}

function port(hostPort: number, overrides: Partial<PublishedPort> = {}): PublishedPort {
  return {
    protocol: 'tcp',
    hostAddress: 0,
    hostPort,
    containerAddress: parseIpv4('172.30.7.2'),
    containerPort: 80,
    ...overrides,
  }
}

function ruleset(): string {
  return execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8' })
}

function open(table = 'gantry-0000test', state = { networks: [network], ports: [] as PublishedPort[] }) {
  return { firewall: new Nftables({ table, state: () => state, log }), state }
}

if (inPrivateHost(fileURLToPath(import.meta.url))) {
  afterEach(() => execFileSync('nft', ['flush', 'ruleset']))

  test('what netlink adds is what nft would have loaded', async () => {
    const internal = { ...network, bridge: 'gttest1', subnet: parseIpv4Subnet('10.9.0.0/16'), internal: true }
    const ports = [port(8080), port(53, { protocol: 'udp', hostAddress: parseIpv4('127.0.0.1') })]
    const whole = open('gantry-0000test', { networks: [network, internal], ports })
    await whole.firewall.restore()
    const loaded = ruleset()
    assert.match(loaded, /tcp \. 8080 : 172\.30\.7\.2 \. 80/)

    const { firewall } = open('gantry-0000test', { networks: [], ports: [] })
    await firewall.restore()
    assert.doesNotMatch(ruleset(), /8080|gttest/)
    for (const n of [network, internal]) await firewall.addNetwork(n)
    await firewall.publish(ports)
    assert.equal(ruleset(), loaded)
    assert.deepEqual(await firewall.ports(), ports)

    for (const repeat of [1, 2]) {
      for (const n of [network, internal]) await firewall.removeNetwork(n)
      await firewall.unpublish(ports)
      assert.doesNotMatch(ruleset(), /8080|gttest|elements/, `removed ${repeat}`)
    }
    await firewall.remove()
    await firewall.remove()
    assert.equal(ruleset(), '')
  })

  test('adding again is fine, and a stale element is overruled', async () => {
    const { firewall, state } = open()
    await firewall.restore()
    await firewall.publish([port(1000)])
    state.ports.push(port(1000))
    await firewall.publish([port(1000), port(1001)])
    const moved = port(1000, { containerAddress: parseIpv4('172.30.7.9') })
    state.ports.splice(0, 1, moved)
    await firewall.publish([moved])
    assert.deepEqual(
      (await firewall.ports()).filter(p => p.hostPort === 1000),
      [moved],
    )
  })

  test('a flushed ruleset is whole again after the next change', async () => {
    const { firewall, state } = open()
    await firewall.restore()
    execFileSync('nft', ['flush', 'ruleset'])
    state.ports.push(port(1000), port(1001))
    await firewall.publish([port(1001)])
    assert.deepEqual((await firewall.ports()).map(p => p.hostPort).sort(), [1000, 1001])
    assert.match(ruleset(), /elements = \{ "gttest0" \}/)
  })

  test('one missing element does not keep the others', async () => {
    const { firewall, state } = open()
    state.ports.push(port(1000), port(1002))
    await firewall.restore()
    await firewall.unpublish([port(1000), port(1001), port(1002)])
    assert.deepEqual(await firewall.ports(), [])
  })

  test('another instance sees what we publish', async () => {
    const [ours, theirs] = [open(), open('gantry-0000abcd')]
    theirs.state.ports.push(port(2000))
    await ours.firewall.restore()
    await theirs.firewall.restore()
    assert.deepEqual(await ours.firewall.foreignPorts(), [{ table: 'gantry-0000abcd', port: port(2000) }])
    assert.deepEqual(await theirs.firewall.foreignPorts(), [])
  })

  test('adding a port costs the same beside 0 and 20 000 others', async t => {
    const { firewall } = open()
    await firewall.restore()
    const empty = await fastest(i => firewall.publish([port(10_000 + i)]))
    const many = Array.from({ length: 20_000 }, (_, i) => port(30_000 + i, { protocol: 'udp' }))
    const started = performance.now()
    await firewall.publish(many)
    t.diagnostic(`20 000 ports in one go: ${(performance.now() - started).toFixed(0)} ms`)
    const full = await fastest(i => firewall.publish([port(11_000 + i)]))
    t.diagnostic(`one port beside none: ${empty.toFixed(2)} ms, beside 20 000: ${full.toFixed(2)} ms`)
    assert.ok(full < empty * 3 + 1, `${full} ms beside many, ${empty} ms beside none`)
    assert.equal((await firewall.ports()).length, 20_040)
  })
}

async function fastest(work: (i: number) => Promise<void>): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < 20; i++) {
    const started = performance.now()
    await work(i)
    times.push(performance.now() - started)
  }
  return Math.min(...times)
}

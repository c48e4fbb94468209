import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { afterEach, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createLogger } from '#api/log/log.ts'
import { parseSubnet } from '../../network-addresses.ts'
import { inPrivateHost } from '../../network-private.ts'
import type { FirewallNetwork, PublishedPort } from '../firewall.ts'
import { Nftables } from './nftables.ts'

const log = createLogger({ name: 'test', level: 'error' })
const network: FirewallNetwork = {
  bridge: 'gttest0',
  subnets: [parseSubnet('172.30.7.0/24'), parseSubnet('fd00:7::/64')],
  internal: false,
  masquerade: true,
  intraTraffic: true,
}

function port(hostPort: number, overrides: Partial<PublishedPort> = {}): PublishedPort {
  return {
    protocol: 'tcp',
    hostAddress: '0.0.0.0',
    hostPort,
    containerAddress: '172.30.7.2',
    containerPort: 80,
    count: 1,
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
    const internal = { ...network, bridge: 'gttest1', subnets: [parseSubnet('10.9.0.0/16')], internal: true }
    const six = { hostAddress: '::', containerAddress: 'fd00:7::2' }
    const ports = [
      port(8080),
      port(53, { protocol: 'udp', hostAddress: '127.0.0.1' }),
      port(8080, { ...six, protocol: 'sctp' }),
      port(53, { ...six, hostAddress: 'fd00:99::1' }),
    ]
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
    const moved = port(1000, { containerAddress: '172.30.7.9' })
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

  test('a range is so many elements, and goes as one', async () => {
    const { firewall } = open()
    await firewall.restore()
    const range = port(20_000, { count: 1000, containerPort: 1000 })
    await firewall.publish([range])
    const open_ = await firewall.ports()
    assert.equal(open_.length, 1000)
    assert.ok(open_.some(({ hostPort, containerPort }) => hostPort === 20_999 && containerPort === 1999))
    await firewall.unpublish([range])
    assert.deepEqual(await firewall.ports(), [])
  })

  for (const [what, ...argv] of [
    ['nft flush ruleset', 'flush', 'ruleset'],
    ['a deleted chain', 'flush', 'chain', 'inet', 'gantry-0000test', 'forward'],
    ['a flushed map', 'flush', 'map', 'inet', 'gantry-0000test', 'ports4'],
  ] as const)
    test(`watched, it is whole again by itself: ${what}`, async () => {
      const { firewall, state } = open()
      state.ports.push(port(1000), port(1001, { hostAddress: '::', containerAddress: 'fd00:7::2' }))
      using _ = firewall.watch()
      await firewall.restore()
      const whole = ruleset()
      execFileSync('nft', argv)
      assert.notEqual(ruleset(), whole)
      const startedMs = performance.now()
      while (ruleset() !== whole && performance.now() - startedMs < 5000) await new Promise(r => setTimeout(r, 10))
      assert.equal(ruleset(), whole)
      await firewall.remove()
      await new Promise(resolve => setTimeout(resolve, 100))
      assert.equal(ruleset(), '')
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

/** Many networks, addresses and ports: what one more costs does not depend on how many there are. CPU time, no kernel. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openStore } from '#api/store/store.ts'
import { parseSubnet } from '#sdk/network-addresses.ts'
import { openNetwork } from '#sdk/network-suite.ts'
import { chooseAddresses, macFor } from './addresses.ts'
import { type AttachmentRow, Ledger, type NetworkRow } from './ledger.ts'
import { PortClaims } from './port-claims.ts'
import { freeSubnet, type TakenSubnet } from './subnets.ts'

const dir = mkdtempSync(join(tmpdir(), 'gantry-scale-'))
after(() => rmSync(dir, { recursive: true }))

/** CPU milliseconds of `work`. */
function cpuMs(work: () => void): number {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

test('65,000 addresses of one network', t => {
  const ledger = new Ledger(openStore(join(dir, 'addresses')))
  const subnets = [{ cidr: '10.0.0.0/15', gateway: '10.0.0.1', range: '', reserved: {} }]
  const network = openNetwork('a', { subnets })
  ledger.putNetwork({ network, asked: network, bridge: 'b', cursors: {} })
  // Into the index alone: the store's writes cost the same at any size, and are measured elsewhere.
  const index = ledger.index(network.id)
  let row = ledger.network(network.id) as NetworkRow
  const give = () => {
    const addresses = chooseAddresses(ledger, row, [])
    const address = addresses[0]?.address ?? ''
    index.add({
      containerId: address,
      interfaceName: 'eth0',
      addresses,
      mac: macFor(address),
    } as unknown as AttachmentRow)
    row = { ...row, cursors: { '10.0.0.0/15': address } }
  }
  const thousand = () => {
    for (let i = 0; i < 1000; i++) give()
  }
  thousand()
  const early = cpuMs(thousand)
  for (let i = 0; i < 62; i++) thousand()
  const late = cpuMs(thousand)
  t.diagnostic(`1,000 addresses: ${early.toFixed(1)} ms of CPU beside 1,000, ${late.toFixed(1)} ms beside 64,000`)
  assert.equal(index.attachments().length, 65_000)
  assert.ok(late < early * 4 + 20, `${late} ms, ${early} ms at first`)
})

test('the 2,000th network gets its subnets as the first', t => {
  const pools = [
    { base: parseSubnet('172.30.0.0/16'), size: 24 },
    { base: parseSubnet('10.208.0.0/12'), size: 24 },
    { base: parseSubnet('fd00:1234:5678::/48'), size: 64 },
  ]
  const taken: TakenSubnet[] = []
  const choose = () => {
    for (const family of [4, 6] as const) {
      const { cidr } = freeSubnet(family, pools, taken, 7)
      assert.ok(!taken.some(({ by }) => by === cidr), `${cidr} is given twice`)
      taken.push({ subnet: parseSubnet(cidr), by: cidr })
    }
  }
  while (taken.length < 3998) choose()
  const last = cpuMs(choose)
  t.diagnostic(`the 2,000th network's two subnets: ${last.toFixed(1)} ms of CPU`)
  assert.ok(last < 100, `${last} ms`)
})

test('a full pool names who holds what', () => {
  const pools = [{ base: parseSubnet('10.0.0.0/30'), size: 30 }]
  const taken = [{ subnet: parseSubnet('10.0.0.0/30'), by: 'network "blue"' }]
  assert.throws(
    () => freeSubnet(4, pools, taken, 0),
    /10\.0\.0\.0\/30 in \/30\); taken are 10\.0\.0\.0\/30 by network "blue"/,
  )
  assert.throws(() => freeSubnet(6, pools, taken, 0), /no free IPv6 subnet in the pools \(none configured\)/)
})

test('one port more beside 50,000', t => {
  const claims = new PortClaims()
  const port = (hostPort: number, count = 1, protocol: 'tcp' | 'udp' = 'udp') => {
    return { protocol, hostAddress: '0.0.0.0', hostPort, count }
  }
  const memoryBefore = process.memoryUsage().heapUsed
  claims.add({ port: port(10_000, 50_000), holder: 'many' })
  const kib = (process.memoryUsage().heapUsed - memoryBefore) / 1024
  const cost = cpuMs(() => {
    for (let i = 0; i < 1000; i++) {
      const single = port(1000 + i)
      assert.equal(claims.collision(single), undefined)
      claims.add({ port: single, holder: 'one' })
      claims.remove(single)
    }
  })
  t.diagnostic(`${kib.toFixed(0)} KiB for 50,000 ports; ${cost.toFixed(1)} µs of CPU for one port more`)
  assert.deepEqual(claims.collision(port(59_000, 5)), {
    hostPort: 59_000,
    claim: { port: port(10_000, 50_000), holder: 'many' },
  })
  assert.equal(claims.collision(port(10_000, 5, 'tcp')), undefined)
  assert.equal(claims.collision({ ...port(10_000), hostAddress: '::' }), undefined)
  assert.ok(cost < 1000, `${cost} µs`)
})

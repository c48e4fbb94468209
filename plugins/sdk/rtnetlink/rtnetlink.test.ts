import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { isGantryError } from '#api/errors/errors.ts'
import { createNetns, isSysError, removeNetns } from '#api/sys/sys.ts'
import { formatSubnet, type IpSubnet, parseSubnet } from '../network-addresses.ts'
import { listRoutes } from './routes.ts'
import {
  addAddress,
  addDefaultRoute,
  addNeighbor,
  addRoute,
  createBridge,
  createVeth,
  deleteLink,
  findLink,
  listAddresses,
  listLinks,
  perform,
  raiseLink,
  setAlias,
  setBridgePort,
  setMaster,
} from './rtnetlink.ts'

const skip = process.getuid?.() === 0 ? false : 'needs root'
const dir = mkdtempSync(join(tmpdir(), 'gantry-rt-'))
const host = { netns: join(dir, 'host') }
const container = { netns: join(dir, 'ctr') }

before(async () => {
  if (skip) return
  await createNetns(host.netns)
  await createNetns(container.netns)
})
after(async () => {
  await removeNetns(host.netns)
  await removeNetns(container.netns)
  rmSync(dir, { recursive: true })
})

test('a bridge, a veth into another namespace, addresses and routes', { skip }, async () => {
  await perform([createBridge({ name: 'br0', mac: '02:42:ac:1e:00:01', mtu: 1400 }), setAlias('br0', 'a test')], host)
  const bridge = await findLink('br0', host)
  assert.ok(bridge)
  assert.deepEqual(
    { ...bridge, index: 0 },
    {
      index: 0,
      name: 'br0',
      kind: 'bridge',
      mac: '02:42:ac:1e:00:01',
      mtu: 1400,
      up: true,
      alias: 'a test',
      master: 0,
      peer: 0,
    },
  )

  const fd = openSync(container.netns, 'r')
  const peer = { name: 'eth0', mac: '02:42:ac:1e:00:02', mtu: 1400, netnsFd: fd }
  await perform(
    [
      createVeth({ name: 'veth0', master: bridge.index, mtu: 1400, peer }),
      setBridgePort('veth0', { hairpin: true, isolated: true }),
      addAddress(bridge.index, '172.30.0.1', 24),
    ],
    host,
  )
  closeSync(fd)
  const port = (await listLinks(host)).find(link => link.name === 'veth0')
  assert.deepEqual([port?.kind, port?.master, port?.up], ['veth', bridge.index, true])

  const { index } = await raiseLink('eth0', container)
  const setUp = [
    addAddress(index, '172.30.0.2', 24),
    addDefaultRoute('172.30.0.1', index),
    addAddress(index, 'fd00:30::2', 64),
    addDefaultRoute('fd00:30::1', index, 500),
    addRoute(parseSubnet('10.9.0.0/16'), '172.30.0.1', index),
  ]
  await perform(setUp, container)
  await perform(setUp, container) // idempotent
  const eth0 = await findLink('eth0', container)
  assert.deepEqual([eth0?.index, eth0?.mac, eth0?.up], [index, peer.mac, true])
  const addresses = (await listAddresses(container)).filter(found => found.index === index)
  assert.deepEqual(
    addresses.map(({ address, prefix }) => `${address}/${prefix}`),
    ['172.30.0.2/24', 'fd00:30::2/64'],
  )
  const routes = (await listRoutes(container)).map(
    ({ destination, gateway }) => `${formatSubnet(destination)} ${gateway ?? '-'}`,
  )
  assert.deepEqual(routes.sort(), [
    '0.0.0.0/0 172.30.0.1',
    '10.9.0.0/16 172.30.0.1',
    '172.30.0.0/24 -',
    '::/0 fd00:30::1',
    'fd00:30::/64 -',
  ])

  await perform([addNeighbor(index, '172.30.0.9', '02:42:ac:1e:00:09')], container)
  const neighbors = execFileSync('nsenter', [`--net=${container.netns}`, 'ip', 'neigh'], { encoding: 'utf8' })
  assert.match(neighbors, /172\.30\.0\.9 dev eth0 lladdr 02:42:ac:1e:00:09 PERMANENT/)

  await perform([setMaster('veth0', 0)], host)
  assert.equal((await findLink('veth0', host))?.master, 0)
  await perform([deleteLink('veth0')], host)
  assert.equal(await findLink('eth0', container), undefined)
})

test('routes of tables that rules lead to are listed, of both families and with large numbers', { skip }, async () => {
  const ip = (...argv: string[]) => execFileSync('nsenter', [`--net=${host.netns}`, 'ip', ...argv])
  const listed = async () =>
    (await listRoutes(host)).filter(({ index }) => index === undefined || index === 1).map(toText)
  const toText = ({ destination }: { destination: IpSubnet }) => formatSubnet(destination)
  ip('route', 'add', 'unreachable', '10.61.0.0/16', 'table', '51820')
  ip('-6', 'route', 'add', 'unreachable', 'fd61::/16', 'table', '77')
  assert.deepEqual(await listed(), [], 'no packet is led by them')
  ip('rule', 'add', 'fwmark', '5', 'table', '51820')
  ip('-6', 'rule', 'add', 'fwmark', '5', 'table', '77')
  assert.deepEqual((await listed()).sort(), ['10.61.0.0/16', 'fd61::/16'])
  ip('rule', 'add', 'l3mdev', 'prio', '900')
  ip('route', 'add', 'unreachable', '10.62.0.0/16', 'table', '62')
  assert.deepEqual((await listed()).sort(), ['10.61.0.0/16', '10.62.0.0/16', 'fd61::/16'], 'of a VRF, perhaps')
})

test('a refusal names the request it is about', { skip }, async () => {
  await perform([createBridge({ name: 'br1' })], host)
  await assert.rejects(
    perform([createBridge({ name: 'br1' })], host),
    (error: unknown) => isSysError(error, 'EEXIST') && /^create bridge br1: /.test(error.message),
  )
  await assert.rejects(perform([deleteLink('nothing')], host), (error: unknown) => isSysError(error, 'ENODEV'))
  const unreachable = [createBridge({ name: 'br2' }), addDefaultRoute('10.1.2.3', 1)]
  await assert.rejects(
    perform(unreachable, host),
    (error: unknown) => isSysError(error, 'ENETUNREACH') && error.message.includes('add route 0.0.0.0/0 via 10.1.2.3'),
  )
})

test('a kind of link that the kernel lacks is said so, with the module to load', { skip }, async () => {
  const bridge = createBridge({ name: 'br9' })
  const unknown = Buffer.from(bridge.body.toString('latin1').replace('bridge', 'nolink'), 'latin1')
  await assert.rejects(
    perform([{ ...bridge, body: unknown, what: 'create nolink br9' }], host),
    (error: unknown) => isGantryError(error, 'UNAVAILABLE') && error.message.includes('modprobe nolink'),
  )
})

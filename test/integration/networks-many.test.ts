/**
 * Endpoints with all that goes with one (both families, ports, a name server), one after another and fifty at a time: when the
 * last one has gone, links, addresses, routes, rules, neighbours, namespaces and the plugin's own files are as at the start.
 * Networks likewise, and the last one costs what the first did. GANTRY_TEST_FULL=1: a thousand endpoints of each, 2,000 networks.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { removeNetns } from '#api/sys/sys.ts'
import type { AddRequest, Network, NetworkPlugin } from '#sdk/network.ts'
import { inPrivateHost } from '#sdk/network-private.ts'
import { patience } from '../daemon/patience.ts'
import { kernelState, openNetwork, type PluginProcess, run, until, World } from './networks-world.ts'

const isFull = process.env.GANTRY_TEST_FULL === '1'
const count = isFull ? 1000 : 150
const atOnce = 50
const networkCount = isFull ? 2000 : 60
const limitMs = (isFull ? 900_000 : 150_000) * patience

if (inPrivateHost(fileURLToPath(import.meta.url), 2 * limitMs)) {
  let world: World
  let process_: PluginProcess
  let plugin: NetworkPlugin
  let network: Network

  before(async () => {
    world = await World.create()
    process_ = await world.plugin('3a3a3a3a')
    plugin = process_.plugin
    network = await plugin.createNetwork(openNetwork('a'))
    // What stays after the first endpoint ever, such as the table.
    await life(await wish('first'))
    // Waits for what is on its way out.
    await plugin.gc(network.id, [])
  })
  after(() => world[Symbol.asyncDispose]())

  const wish = async (id: string): Promise<AddRequest> => ({
    ...(await world.wish(network, id)),
    aliases: [id, 'all'],
    ports: ['tcp', 'udp'].map(protocol => ({ protocol, hostPort: 0, containerPort: 80, hostIp: '', count: 1 })),
    options: { 'gantry.network.rate.out': '1gbit' },
  })
  const add = async (request: AddRequest): Promise<string> => {
    const { ips, ports } = await plugin.add(request)
    assert.deepEqual([ips.length, ports.length], [2, 4])
    return ips[0]?.address ?? ''
  }
  const leave = async (request: AddRequest) => {
    await plugin.del(request)
    await removeNetns(request.netnsPath)
  }
  const life = async (request: AddRequest): Promise<string> => {
    const addresses = await add(request)
    await leave(request)
    return addresses
  }
  const crowd = async (name: string): Promise<string[]> => {
    const requests = await Promise.all(Array.from({ length: atOnce }, (_, i) => wish(`${name}-${i}`)))
    const addresses = await Promise.all(requests.map(add))
    await Promise.all(requests.map(leave))
    return addresses
  }

  /** Of the host, and of the plugin's process. */
  const state = () =>
    [
      // A bridge notices a moment later that its last port has gone.
      kernelState().replaceAll(' linkdown', ''),
      run('ip', 'neigh', 'show', 'nud', 'permanent'),
      run('tc', 'qdisc', 'show'),
      readFileSync('/proc/self/mountinfo', 'utf8')
        .split('\n')
        .filter(line => line.includes(world.dir)).length,
      `${openFiles(process_.pid).length} files`,
    ].join('\n---\n')

  const nothingStays = async (clean: string) => {
    await until(() => state() === clean, 30_000 * patience).catch(() => assert.equal(state(), clean))
    assert.deepEqual(await plugin.gc(network.id, []), [], 'nothing that gc would have to remove')
  }

  test(`${count} endpoints in a row`, { timeout: limitMs }, async t => {
    const clean = state()
    const before = process_.cpuMs()
    const given = new Set<string>()
    for (let i = 0; i < count; i++) given.add(await life(await wish(`row${i}`)))
    t.diagnostic(`${((process_.cpuMs() - before) / count).toFixed(1)} ms of the plugin's CPU for each`)
    // Addresses go round: none is used again before all others were.
    assert.equal(given.size, Math.min(count, 253))
    await nothingStays(clean)
  })

  test(`${count} endpoints, ${atOnce} at a time`, { timeout: limitMs }, async t => {
    const clean = state()
    const before = process_.cpuMs()
    for (let round = 0; round < count / atOnce; round++) {
      const addresses = await crowd(`r${round}`)
      assert.equal(new Set(addresses).size, atOnce)
    }
    t.diagnostic(`${((process_.cpuMs() - before) / count).toFixed(1)} ms of the plugin's CPU for each`)
    await nothingStays(clean)
  })

  test(`${networkCount} networks, with an endpoint on the last`, { timeout: limitMs }, async t => {
    const clean = state()
    const batch = networkCount / 10
    const ids = Array.from({ length: networkCount }, (_, i) => i.toString(16).padStart(64, '0'))
    const [creates, removes]: [number[], number[]] = [[], []]
    const cidrs = new Set<string>()
    for (const part of chunks(ids, batch))
      creates.push(
        await cpuOfEach(part, async id => {
          const made = await plugin.createNetwork(openNetwork('b', { id, name: id.slice(-8) }))
          for (const { cidr } of made.subnets) cidrs.add(cidr)
        }),
      )
    assert.equal(cidrs.size, 2 * networkCount, 'a subnet of each family')
    const lastRequest = { ...(await wish('last')), networkId: ids.at(-1) ?? '' }
    t.diagnostic(`an endpoint: ${(await cpuOfEach([lastRequest], life)).toFixed(0)} ms of the plugin's CPU`)
    for (const part of chunks(ids, batch)) removes.push(await cpuOfEach(part, id => plugin.removeNetwork(id)))
    const text = (times: number[]) => times.map(ms => ms.toFixed(1)).join(' ')
    t.diagnostic(`ms of the plugin's CPU for each, by tenths: created ${text(creates)}; removed ${text(removes)}`)
    await nothingStays(clean)
  })

  async function cpuOfEach<T>(things: readonly T[], work: (thing: T) => Promise<unknown>): Promise<number> {
    const before = process_.cpuMs()
    for (const thing of things) await work(thing)
    return (process_.cpuMs() - before) / things.length
  }
}

/** But netlink sockets: gantry-sys keeps up to four for later calls. */
function openFiles(pid: number): string[] {
  const netlink = new Set(
    readFileSync(`/proc/${pid}/net/netlink`, 'utf8')
      .match(/\d+\s*$/gm)
      ?.map(text => text.trim()),
  )
  return readdirSync(`/proc/${pid}/fd`)
    .map(descriptor => readlinkSync(`/proc/${pid}/fd/${descriptor}`))
    .filter(target => !netlink.has(/^socket:\[(\d+)\]$/.exec(target)?.[1] ?? ''))
}

function chunks<T>(things: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(things.length / size) }, (_, i) => things.slice(i * size, (i + 1) * size))
}

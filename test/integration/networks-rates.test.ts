/** Bandwidth limits of a container, measured: what really goes through in both directions. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { NetworkPluginServiceDefinition } from '#api/gen/gantry/network/v1/network.ts'
import type { Client } from '#api/rpc/definition.ts'
import { inPrivateHost } from '#sdk/network-private.ts'
import { fails } from '#sdk/network-suite.ts'
import { type Container, hostAddress, openNetwork, type PluginProcess, World } from './networks-world.ts'

const port = 7000
const measureMs = 1500

interface Room {
  readonly world: World
  readonly process: PluginProcess
  readonly container: Container
}

if (inPrivateHost(fileURLToPath(import.meta.url))) {
  test('as fast as it is allowed, each way; changed and lifted while it runs', async t => {
    await using world = await World.create()
    const process = await world.plugin('0a7e0001')
    const room = { world, process, container: await limited(world, process, { in: '24mbit', out: '8mbit' }) }
    const shown = (what: string, rates: Rates) =>
      t.diagnostic(`${what}: in ${rates.in.toFixed(1)} Mbit/s, out ${rates.out.toFixed(1)} Mbit/s`)

    const first = await measure(room)
    shown('in 24, out 8', first)
    assertNear(first, { in: 24, out: 8 })

    await change(process.client, room.container, { in: '6mbit', out: '32mbit' })
    const second = await measure(room)
    shown('in 6, out 32', second)
    assertNear(second, { in: 6, out: 32 })

    await change(process.client, room.container, {})
    const free = await measure(room)
    shown('no limit', free)
    assert.ok(free.in > 60 && free.out > 60, JSON.stringify(free))
  })

  test('a rate that is none is refused, and nothing stays', async () => {
    await using world = await World.create()
    const { plugin } = await world.plugin('0a7f0002')
    const network = await plugin.createNetwork(openNetwork('a'))
    const request = { ...(await world.wish(network, 'c1')), options: { 'gantry.network.rate.in': 'fast' } }
    await assert.rejects(plugin.add(request), fails('INVALID_ARGUMENT', /rate\.in "fast"/))
    const unknown = { ...request, options: { 'gantry.network.speed': '1' } }
    await assert.rejects(plugin.add(unknown), fails('INVALID_ARGUMENT', /gantry\.network\.speed/))
    await plugin.removeNetwork(network.id)
  })
}

interface Rates {
  readonly in: number
  readonly out: number
}

async function limited(
  world: World,
  { plugin }: PluginProcess,
  rates: { in: string; out: string },
): Promise<Container> {
  const network = await plugin.createNetwork(openNetwork('a'))
  const request = { ...(await world.wish(network, 'c1')), options: optionsOf(rates) }
  const result = await plugin.add(request)
  const address = result.ips[0]?.address.split('/')[0] ?? ''
  return { id: 'c1', netns: request.netnsPath, request, result, address }
}

function optionsOf(rates: { in?: string; out?: string }): Record<string, string> {
  return {
    ...(rates.in && { 'gantry.network.rate.in': rates.in }),
    ...(rates.out && { 'gantry.network.rate.out': rates.out }),
  }
}

async function change(
  client: Client<typeof NetworkPluginServiceDefinition>,
  { request }: Container,
  rates: { in?: string; out?: string },
): Promise<void> {
  const { networkId, containerId, interfaceName } = request
  await client.update({ networkId, containerId, interfaceName, endpointOptions: { values: optionsOf(rates) } })
}

/** What the host sends to the container and gets from it, one after the other, in Mbit/s. */
async function measure({ world, container }: Room): Promise<Rates> {
  using inside = await world.start(container.netns, 'pour', String(port))
  const through = Number(await world.drain(undefined, container.address, port, measureMs))
  inside.stop()
  using outside = await world.start(undefined, 'pour', String(port))
  const received = Number(await world.drain(container.netns, hostAddress, port, measureMs))
  outside.stop()
  // Who pours is the sender: out of the container first, into it then.
  return { out: through, in: received }
}

/** TCP's own headers take some 4 %, and a loaded machine a little more; the first burst adds a little. */
function assertNear(found: Rates, wanted: Rates): void {
  for (const way of ['in', 'out'] as const)
    assert.ok(
      found[way] > wanted[way] * 0.75 && found[way] < wanted[way] * 1.12,
      `${way}: ${found[way].toFixed(1)} Mbit/s, allowed are ${wanted[way]}`,
    )
}

/** What became of a packet, told by the kernel's own trace: let through, translated, dropped by us, by a list, by somebody else. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { TraceResponse } from '#api/gen/gantry/network/v1/network.ts'
import type { Network } from '#sdk/network.ts'
import { inPrivateHost } from '#sdk/network-private.ts'
import { fails } from '#sdk/network-suite.ts'
import {
  type Container,
  hostAddress,
  openNetwork,
  outsideAddress,
  outsideAddress6,
  type PluginProcess,
  run,
  World,
} from './networks-world.ts'

const [port, published] = [7000, 8080]
const instance = '0aceace1'

if (inPrivateHost(fileURLToPath(import.meta.url))) {
  let world: World
  let process_: PluginProcess
  let [blue, red]: Network[] = []
  let [one, stranger]: Container[] = []

  before(async () => {
    world = await World.create()
    process_ = await world.plugin(instance)
    const { plugin } = process_
    blue = await plugin.createNetwork(openNetwork('b'))
    red = await plugin.createNetwork(openNetwork('c'))
    one = await world.attach(plugin, blue, 'one')
    const mapping = { protocol: 'tcp', hostPort: published, containerPort: port, hostIp: '', count: 1 }
    stranger = await world.attach(plugin, red, 'stranger', [mapping])
    await world.serve(world.outside, port)
    await world.serve(stranger.netns, port)
  })
  after(() => world[Symbol.asyncDispose]())

  const trace = (destination: string, number = port, protocol = 'tcp') => {
    const { networkId = '', containerId = '', interfaceName = '' } = one?.request ?? {}
    return process_.client.trace({ networkId, containerId, interfaceName, destination, port: number, protocol })
  }
  const lines = ({ steps }: TraceResponse) =>
    steps.map(({ kind, place, text }) => `${kind} [${place}] ${text}`).join('\n')

  test('let through: routes, the neighbour, each rule that fits', async () => {
    for (const [address, gateway] of [
      [outsideAddress, one?.result.ips[0]?.gateway],
      [outsideAddress6, one?.result.ips[1]?.gateway],
    ] as const) {
      const answer = await trace(address)
      assert.equal(answer.outcome, 'let through by the host: connected')
      const told = lines(answer)
      assert.match(told, new RegExp(`route \\[container\\] to ${address} via ${gateway} by eth0`))
      assert.match(told, new RegExp(`neighbour \\[container\\] ${gateway} is 02:42:`))
      assert.match(told, new RegExp(`route \\[host\\] to ${address} by wire0`))
      assert.match(told, new RegExp(`rule \\[inet gantry-${instance} postrouting\\] .*masquerade -> accept`))
    }
    assert.match((await trace(outsideAddress, port, 'udp')).outcome, /let through by the host: sent/)
    assert.doesNotMatch(run('nft', 'list', 'tables'), /trace/)
  })

  test('translated: a published port leads to its container', async () => {
    const answer = await trace(hostAddress, published)
    assert.equal(answer.outcome, 'let through by the host: connected')
    assert.match(lines(answer), new RegExp(`translation \\[inet .*\\] now to ${stranger?.address} port ${port}`))
  })

  test('dropped: by the wall between networks, by a list, by a rule of the host; refused; no route', async () => {
    assert.match(
      (await trace(stranger?.address ?? '')).outcome,
      new RegExp(`^dropped by inet gantry-${instance} forward: oifname @bridges drop$`),
    )
    assert.match((await trace(outsideAddress, port + 1)).outcome, /let through by the host: connection refused/)
    const { networkId = '', containerId = '', interfaceName = '' } = one?.request ?? {}
    const setList = (egress: string) =>
      process_.client.update({
        ...{ networkId, containerId, interfaceName },
        endpointOptions: { values: egress === '' ? {} : { 'gantry.network.egress': egress } },
      })
    await setList('none')
    assert.match(
      (await trace(outsideAddress)).outcome,
      /^dropped by inet gantry-egress-0aceace1 check: ip saddr @denied4 drop$/,
    )
    await setList('')
    run(
      'nft',
      'add table inet mine; add chain inet mine f { type filter hook forward priority 5; }; add rule inet mine f tcp dport 7000 drop',
    )
    assert.equal((await trace(outsideAddress)).outcome, 'dropped by inet mine f: tcp dport 7000 drop')
    run('nft', 'delete', 'table', 'inet', 'mine')
    world.in(one?.netns ?? '', 'ip', 'route', 'del', 'default')
    assert.equal((await trace(outsideAddress)).outcome, 'not sent: the container has no route there')
    await assert.rejects(trace('example.org'), fails('INVALID_ARGUMENT', /is not an IP address/))
  })
}

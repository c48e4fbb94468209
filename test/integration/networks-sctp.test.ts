/**
 * Published sctp ports, with real packets: the first two of an association (RFC 9260, 5.1), by raw sockets, because the
 * kernel at hand need not speak sctp itself. Connection tracking checks their CRC32c, translation writes a new one.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Network, NetworkPlugin } from '#sdk/network.ts'
import { inPrivateHost } from '#sdk/network-private.ts'
import { patience } from '../daemon/patience.ts'
import { hostAddress, hostAddress6, openNetwork, World } from './networks-world.ts'

const peer = fileURLToPath(new URL('networks-sctp-peer.py', import.meta.url))
const python = '/usr/bin/python3'

if (!existsSync(python)) test('sctp', { skip: `needs ${python}` }, () => {})
else if (inPrivateHost(fileURLToPath(import.meta.url))) {
  let world: World
  let plugin: NetworkPlugin
  let network: Network

  before(async () => {
    world = await World.create()
    plugin = (await world.plugin('5c750000')).plugin
    network = await plugin.createNetwork(openNetwork('a'))
  })
  after(() => world[Symbol.asyncDispose]())

  test('an association begins through a published port, in both families and in a range', async t => {
    const ports = [{ protocol: 'sctp', hostPort: 9900, containerPort: 3868, hostIp: '', count: 3 }]
    const { netns } = await world.attach(plugin, network, 'c1', ports)
    const servers = [4, 6].map(family =>
      spawn('nsenter', [`--net=${netns}`, python, peer, 'serve', String(family), '3869'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      }),
    )
    try {
      for (const server of servers) await new Promise(resolve => server.stdout.once('data', resolve))
      for (const host of [hostAddress, hostAddress6]) {
        const answer = ask(host, 9901)
        t.diagnostic(`INIT to ${host} port 9901: ${answer}`)
        assert.equal(answer, 'INIT ACK from port 9901')
        assert.match(ask(host, 9909), /^no answer/)
      }
    } finally {
      for (const server of servers) server.kill('SIGKILL')
    }
  })

  test('a port that is published for sctp is free for tcp, and taken for sctp', async () => {
    const port = (protocol: string) => ({ protocol, hostPort: 9950, containerPort: 80, hostIp: '', count: 1 })
    await world.attach(plugin, network, 'c2', [port('sctp'), port('tcp'), port('udp')])
    const request = { ...(await world.wish(network, 'c3')), ports: [port('sctp')] }
    await assert.rejects(plugin.add(request), /9950\/sctp is taken by container c2/)
  })

  function ask(host: string, port: number): string {
    const family = host.includes(':') ? '6' : '4'
    return world.in(world.outside, python, peer, 'ask', family, host, String(port), String(2 * patience)).trim()
  }
}

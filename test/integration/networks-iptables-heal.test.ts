/**
 * Rules of the iptables backend that others take away are back within a second (five, where nothing tells of it), with both
 * makes of its commands, and watching them costs nothing.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { inPrivateHost } from '#sdk/network-private.ts'
import { hostAddress, openNetwork, outsideAddress, type PluginProcess, run, until, World } from './networks-world.ts'

const [legacy, modern] = ['/usr/sbin/xtables-legacy-multi', '/usr/sbin/xtables-nft-multi']
const makes: Readonly<Record<string, string>> = { nf_tables: modern, legacy }
const config = { firewall: 'iptables' }
/** The second, or five for a rule as large as ours. A loaded machine takes its time for the test's own programs. */
const patienceMs = 20_000
/** As large as the one that publishes the test's port. */
const otherRule = '-p tcp -m tcp --dport 8990 -j DNAT --to-destination 192.0.2.1:80'.split(' ')
const idleMs = 2500

const missing = [legacy, modern].filter(path => !existsSync(path))
if (missing.length > 0) test('iptables', { skip: `needs ${missing.join(', ')} (Debian package iptables)` }, () => {})
else if (inPrivateHost(fileURLToPath(import.meta.url))) {
  for (const [number, [make, program]] of Object.entries(makes).entries())
    test(`by ${make}`, async t => {
      // Programs that are all one file, which goes by the name it is called with.
      using ends = new DisposableStack()
      if (program !== modern) {
        run('mount', '--bind', program, modern)
        ends.defer(() => run('umount', modern))
      }
      await using world = await World.create()
      await using process_ = await world.plugin(`0f17000${number + 2}`, { config })
      assert.match(run('iptables', '-V'), new RegExp(make))
      const network = await process_.plugin.createNetwork(openNetwork('a'))
      const port = { protocol: 'tcp', hostPort: 8989, containerPort: 80, hostIp: '', count: 1 }
      const { request, netns } = await world.attach(process_.plugin, network, 'c1', [port])
      await world.serve(netns, 80)
      const ours = () =>
        ['iptables-save', 'ip6tables-save'].flatMap(save => run(save).match(/^.*GANTRY-0f17.*$/gm) ?? []).join('\n')
      const whole = ours()
      const losses = [
        ['iptables', '-t', 'filter', '-F'],
        ['iptables', '-t', 'nat', '-F'],
        ['ip6tables', '-t', 'nat', '-F', 'OUTPUT'],
        ['iptables', '-t', 'raw', '-D', 'PREROUTING', '1'],
        ['iptables', '-F', `GANTRY-0f17000${number + 2}-F`],
        ['iptables', '-t', 'nat', '-R', `GANTRY-0f17000${number + 2}-P`, '1', ...otherRule],
      ]
      for (const argv of losses) {
        run(...argv)
        const startedMs = performance.now()
        await until(() => ours() === whole, patienceMs).catch(() => assert.equal(ours(), whole, argv.join(' ')))
        t.diagnostic(`${make}: whole ${Math.round(performance.now() - startedMs)} ms after ${argv.join(' ')}`)
        assert.equal(world.ask(world.outside, 'tcp', hostAddress, 8989), outsideAddress)
      }
      const cpuMs = await idleCpuMs(process_)
      t.diagnostic(`${make}: ${cpuMs} ms of CPU in ${idleMs} ms without a change`)
      assert.ok(cpuMs <= 10, `${cpuMs} ms of CPU in ${idleMs} ms`)
      await process_.plugin.del(request)
      await process_.plugin.removeNetwork(network.id)
    })
}

/** The least of some windows: collecting garbage and compiling go on for a while, and one look in 5 s is meant. */
async function idleCpuMs(plugin: PluginProcess): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let window = 0; window < 8 && least > 10; window++) {
    const before = plugin.cpuMs()
    await sleep(idleMs)
    least = Math.min(least, plugin.cpuMs() - before)
  }
  return least
}

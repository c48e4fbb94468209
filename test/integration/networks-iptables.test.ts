/**
 * The bridge on a host without nft: the same paths with the same sources, by iptables and ip6tables. The legacy commands
 * stand for the host's (their tables are not nf_tables), and nft(8) is a program that fails.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { inPrivateHost } from '#sdk/network-private.ts'
import { fails } from '#sdk/network-suite.ts'
import { matrixSuite } from './networks-matrix-suite.ts'
import { pathsSuite } from './networks-paths-suite.ts'
import { hostAddress, openNetwork, outsideAddress, run, until, World } from './networks-world.ts'

const [legacy, own, nft] = ['/usr/sbin/xtables-legacy-multi', '/usr/sbin/xtables-nft-multi', '/usr/sbin/nft']
const config = { firewall: 'iptables' }
const instance = '0f170001'

const ours = () =>
  ['iptables-save', 'ip6tables-save']
    .flatMap(save => run(save).split('\n'))
    .filter(line => line.includes(`GANTRY-${instance}-`))
    .join('\n')

if (!existsSync(legacy)) test('iptables', { skip: 'needs iptables (Debian package iptables)' }, () => {})
else if (inPrivateHost(fileURLToPath(import.meta.url))) {
  before(() => {
    if (existsSync(own)) run('mount', '--bind', legacy, own)
    if (existsSync(nft)) run('mount', '--bind', '/bin/false', nft)
    assert.match(run('iptables', '-V'), /legacy/)
  })
  after(() => {
    for (const path of [own, nft]) if (existsSync(path)) run('umount', path)
  })

  describe('by iptables', () => pathsSuite(config))
  describe('by iptables', () => matrixSuite(config))

  test('flushed by others it is back; a foreign rule stays; afterwards nothing of ours is left', async () => {
    await using world = await World.create()
    const process_ = await world.plugin(instance, { config })
    const network = await process_.plugin.createNetwork(openNetwork('a'))
    const port = { protocol: 'tcp', hostPort: 8989, containerPort: 80, hostIp: '', count: 1 }
    const { request, netns } = await world.attach(process_.plugin, network, 'c1', [port])
    await world.serve(netns, 80)
    run('iptables', '-A', 'FORWARD', '-s', '192.0.2.1', '-j', 'DROP')
    const whole = ours()
    assert.match(whole, new RegExp(`GANTRY-${instance}-P .*--dport 8989 -j DNAT`))
    for (const table of ['filter', 'nat', 'raw']) run('iptables', '-t', table, '-F')
    assert.notEqual(ours(), whole)
    await until(() => world.ask(world.outside, 'tcp', hostAddress, 8989) === outsideAddress, 30_000)
    run('iptables', '-A', 'FORWARD', '-s', '192.0.2.1', '-j', 'DROP')
    await process_.kill()
    await process_.start()
    assert.equal(world.ask(world.outside, 'tcp', hostAddress, 8989), outsideAddress)
    assert.ok(
      run('iptables', '-S', 'FORWARD')
        .split('\n')
        .filter(line => line.includes(instance)).length === 1,
      'one jump',
    )

    const guarded = { ...(await world.wish(network, 'g')), options: { 'gantry.network.egress': 'none' } }
    await assert.rejects(process_.plugin.add(guarded), fails('FAILED_PRECONDITION', /needs nftables/))
    await process_.plugin.del(request)
    await process_.plugin.removeNetwork(network.id)
    await process_.kill('SIGTERM')
    assert.equal(ours(), '')
    assert.match(run('iptables', '-S', 'FORWARD'), /192\.0\.2\.1/)
    run('iptables', '-F', 'FORWARD')
  })
}

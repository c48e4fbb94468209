/** Debian's podman runs containers on our bridge, by our CNI binary. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { inPrivateHost } from '#sdk/network-private.ts'
import { hostAddress, kernelState, openNetwork, run, until, World } from '../integration/networks-world.ts'
import { Podman, podmanFiles } from './podman.ts'

const ours = join(import.meta.dirname, '../../contrib/cni')
const missing = Object.values(podmanFiles).filter(path => !existsSync(path))

if (missing.length > 0) test('podman', { skip: `not installed: ${missing.join(', ')}` }, () => {})
else if (inPrivateHost(fileURLToPath(import.meta.url)))
  test('podman: containers of our CNI binary', { timeout: 280_000 }, async t => {
    await using world = await World.create()
    const { address, plugin } = await world.plugin('90d90d00')
    const capabilities = { portMappings: true, mac: true, ips: true, aliases: true }
    const list = (name: string) => ({ cniVersion: '1.0.0', name, plugins: [{ type: 'gantry', address, capabilities }] })
    // The first network brings the table, which stays.
    const { id: first } = await plugin.createNetwork(openNetwork('f'))
    await plugin.removeNetwork(first)
    const before = kernelState()
    await using podman = new Podman({ binaries: [ours], lists: { blue: list('blue'), green: list('green') } })
    const image = await podman.importBusybox()
    const started = async (...args: string[]) => {
      const { code, stderr } = await podman.start('--network', 'blue', '--name', ...args)
      assert.equal(code, 0, stderr)
    }

    assert.match(await podman.ok('network', 'ls', '--format', '{{.Name}} {{.Driver}}'), /^blue gantry$/m)
    const own = ['--mac-address', '02:42:00:00:00:55', '-p', '8088:80', image, 'httpd', '-f', '-p', '80', '-h', '/etc']
    await started('web', ...own)
    await started('second', image, 'sleep', '1000')

    const [blue] = await plugin.listNetworks()
    const subnet = blue?.subnets[0]?.cidr.replace(/\d+\/24$/, '') ?? ''
    const ip = await podman.ok('inspect', '--format', '{{.NetworkSettings.Networks.blue.IPAddress}}', 'web')
    assert.ok(ip.startsWith(subnet), `${ip} is of ${subnet}`)
    assert.match(await podman.ok('exec', 'web', 'ip', 'addr', 'show', 'eth0'), /02:42:00:00:00:55/)
    t.diagnostic(`podman ${await podman.ok('--version')}: web has ${ip} of our bridge`)

    await podman.ok('exec', 'second', 'ping', '-c1', '-W3', ip)
    const page = () =>
      world.in(
        world.outside,
        'curl',
        '-s',
        '-m',
        '5',
        '-o',
        '/dev/null',
        '-w',
        '%{http_code}',
        `http://${hostAddress}:8088/`,
      )
    assert.match(page(), /^(200|404)$/, 'the published port, from another host')

    await podman.ok('network', 'connect', 'green', 'second')
    assert.match(await podman.ok('exec', 'second', 'ip', 'addr', 'show', 'eth1'), /inet /)
    await podman.ok('network', 'disconnect', 'green', 'second')

    const clash = await podman.start('--network', 'blue', '--name', 'clash', '-p', '8088:80', image, 'sleep', '1')
    assert.notEqual(clash.code, 0)
    assert.match(clash.stderr, /8088/, 'who has the port is said')
    await podman.ok('rm', '--force', '--time', '0', 'web', 'second', 'clash')
    assert.throws(page)
    for (const { id } of await plugin.listNetworks()) {
      const left = await plugin.gc(id, [])
      // The kernel remembers connections that have ended for a while.
      assert.deepEqual(
        left.filter(line => !line.startsWith('connection ')),
        [],
        'podman has left nothing',
      )
      await plugin.removeNetwork(id)
    }
    await until(() => kernelState() === before).catch(() => assert.equal(kernelState(), before))
    assert.match(run('ip', '-br', 'link'), /wire0/)
  })

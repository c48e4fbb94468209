/** A running container joins and leaves networks, opens and closes ports, by gctr: what it sees inside, and after a restart. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { inPrivateHost } from '#sdk/network-private.ts'
import { Daemon } from '../daemon/daemon.ts'

if (inPrivateHost(fileURLToPath(import.meta.url))) {
  let daemon: Daemon
  let image: string

  before(async () => {
    execFileSync('ip', ['link', 'set', 'lo', 'up'])
    daemon = await Daemon.start()
    image = await daemon.importBusybox()
    for (const network of ['blue', 'red']) await ok('networks', 'create', network)
  })
  after(async () => {
    await daemon?.[Symbol.asyncDispose]()
  })

  const ok = async (...words: string[]): Promise<string> => {
    const { code, stdout, stderr } = await daemon.run(...words)
    assert.equal(code, 0, `gctr ${words.join(' ')}: ${stderr}`)
    return stdout.trim()
  }
  const refused = async (message: RegExp, ...words: string[]) => {
    const { code, stderr } = await daemon.run(...words)
    assert.notEqual(code, 0)
    assert.match(stderr, message)
  }
  const sleeper = (name: string, ...flags: string[]) =>
    ok('run', '-d', '--name', name, ...flags, image, 'sleep', '1000')
  const inside = (name: string, ...argv: string[]) => ok('tasks', 'exec', name, ...argv)
  const remove = (...names: string[]) => ok('containers', 'rm', '-f', ...names)

  test('connect and disconnect a running container: interface, names, hosts file, default route', async () => {
    await sleeper('db', '--net', 'blue', '--network-alias', 'postgres')
    await sleeper('web', '--net', 'red')
    assert.deepEqual(lookUp('web', 'db'), [])
    const lines = await ok('networks', 'connect', 'blue', 'web', '--alias', 'front', '--gw-priority', '10')
    assert.match(lines, /^eth1 172\.30\.\d+\.\d+\/24\neth1 fd[0-9a-f:]+\/64$/)
    assert.equal(await ok('networks', 'connect', 'blue', 'web', '--alias', 'front', '--gw-priority', '10'), lines)
    const address = /eth1 ([\d.]+)/.exec(lines)?.[1] ?? ''
    assert.equal(lookUp('web', 'postgres').length, 1)
    assert.deepEqual(lookUp('db', 'front'), [address])
    assert.deepEqual(lookUp('db', 'web'), [address])
    assert.match(await inside('web', 'cat', '/etc/hosts'), new RegExp(`${address}\tweb front`))
    assert.match(await inside('web', 'ip', 'route', 'get', '192.0.2.1'), /dev eth1/)
    await inside('web', 'ping', '-c1', '-W2', lookUp('web', 'postgres')[0] ?? '')

    await ok('networks', 'disconnect', 'blue', 'web')
    await ok('networks', 'disconnect', 'blue', 'web')
    assert.match(await inside('web', 'ip', 'route', 'get', '192.0.2.1'), /dev eth0/)
    assert.doesNotMatch(await inside('web', 'cat', '/etc/hosts'), /front/)
    assert.doesNotMatch(await inside('web', 'ip', 'link'), /eth1/)
    await ok('networks', 'disconnect', 'red', 'web')
    assert.doesNotMatch(await inside('web', 'ip', 'link'), /eth/)
    await ok('networks', 'connect', 'blue', 'web', '--ip6', await freeIpv6('blue'))
    await inside('web', 'ping', '-c1', '-W2', lookUp('web', 'db')[0] ?? '')
    await remove('db', 'web')
  })

  test('connected networks are there again after a stop and a start', async () => {
    await ok('containers', 'create', '--name', 'c', '--net', 'red', image, 'sleep', '1000')
    await ok('networks', 'connect', 'blue', 'c')
    await ok('tasks', 'start', '-d', 'c')
    assert.match(await inside('c', 'ip', '-o', 'addr'), /eth0[\s\S]*eth1/)
    await ok('networks', 'disconnect', 'red', 'c')
    await ok('tasks', 'kill', '-s', 'KILL', 'c')
    await ok('tasks', 'start', '-d', 'c')
    const info = JSON.parse(await ok('--format', 'json', 'networks', 'inspect', 'blue'))
    assert.equal(info.attachments.filter((a: { containerId: string }) => a.containerId === 'c').length, 1)
    assert.doesNotMatch(await inside('c', 'ip', '-o', 'addr'), /eth1/)
    await remove('c')
  })

  test('ports of a running container open and close; a clash says who holds the port', async () => {
    await ok('run', '-d', '--name', 'w', '--net', 'blue', image, 'httpd', '-f', '-p', '80', '-h', '/bin')
    const url = 'http://127.0.0.1:8080/true'
    assert.throws(() => get(url))
    assert.match(
      await ok('networks', 'publish', 'w', '8080:80'),
      /^80\/tcp -> 0\.0\.0\.0:8080\n80\/tcp -> \[::\]:8080$/,
    )
    await ok('networks', 'publish', 'w', '8080:80')
    assert.equal(get(url), '200')
    await sleeper('other', '--net', 'red')
    await refused(/8080\/tcp is taken by container default\/w \(eth0\)/, 'networks', 'publish', 'other', '8080:80')
    await ok('networks', 'check', 'blue')
    assert.equal(await ok('networks', 'unpublish', 'w', '8080:80'), '')
    assert.throws(() => get(url))
    await ok('networks', 'publish', 'other', '8080:80')
    assert.match(
      await ok('networks', 'publish', 'w', '9000-9009:9000-9009/udp'),
      /9000-9009\/udp -> 0\.0\.0\.0:9000-9009/,
    )
    await ok('networks', 'unpublish', 'w')
    await remove('w', 'other')
  })

  test('capture writes what a container says, as pcap', { skip: !existsSync('/usr/bin/tcpdump') }, async () => {
    await sleeper('talker', '--net', 'blue')
    const file = join(daemon.folder, 'talk.pcap')
    const capturing = ok('networks', 'capture', 'talker', '-c', '2', '-w', file, 'icmp')
    const gateway = (await inside('talker', 'ip', 'route')).match(/default via ([\d.]+)/)?.[1] ?? ''
    // Until both are caught; the capture may begin after the first ones.
    const pinging = inside('talker', 'ping', '-c', '60', '-W', '2', gateway).catch(() => {})
    await capturing
    await remove('talker')
    await pinging
    const bytes = readFileSync(file)
    assert.equal(bytes.readUInt32LE(0), 0xa1b2c3d4)
    assert.ok(bytes.length > 24 + 2 * (16 + 84), `${bytes.length} bytes`)
  })

  test('what cannot be connected says why', async () => {
    await sleeper('h', '--net', 'host')
    await sleeper('n', '--net', 'none')
    await refused(/uses the host's network/, 'networks', 'connect', 'blue', 'h')
    await refused(/container "nobody"/, 'networks', 'connect', 'blue', 'nobody')
    await refused(/network "nowhere"/, 'networks', 'connect', 'nowhere', 'n')
    await refused(/no network that publishes/, 'networks', 'publish', 'n', '8080:80')
    await ok('networks', 'connect', 'blue', 'n')
    assert.match(await inside('n', 'ip', 'link'), /eth0/)
    await remove('h', 'n')
  })

  test('a container that shares another one’s network sees its files change', async () => {
    await sleeper('owner', '--net', 'red')
    await sleeper('guest', '--net', 'container:owner')
    await ok('networks', 'connect', 'blue', 'owner', '--alias', 'later')
    assert.match(await inside('guest', 'cat', '/etc/hosts'), /later/)
    assert.match(await inside('guest', 'cat', '/etc/resolv.conf'), /nameserver 127\.0\.0\.11/)
    await refused(/shares the network of owner/, 'networks', 'connect', 'blue', 'guest')
    await remove('guest', 'owner')
  })

  /** Addresses of a name, asked as a container would. The image has no program for that. */
  const lookUp = (name: string, wanted: string): string[] => {
    const netns = `--net=${join(daemon.state, 'netns', 'default', name)}`
    const argv = [netns, 'dig', '@127.0.0.11', '+short', '+timeout=9', wanted]
    return execFileSync('nsenter', argv, { encoding: 'utf8' })
      .split('\n')
      .filter(line => line !== '')
  }

  async function freeIpv6(network: string): Promise<string> {
    const { network: record } = JSON.parse(await ok('--format', 'json', 'networks', 'inspect', network))
    const cidr: string = record.subnets
      .map((subnet: { cidr: string }) => subnet.cidr)
      .find((c: string) => c.includes(':'))
    return cidr.replace(/::\/64$/, '::beef')
  }
}

/** The HTTP status; throws when nobody answers. */
function get(url: string): string {
  const argv = ['-sSf', '-g', '--max-time', '3', '-o', '/dev/null', '-w', '%{http_code}', url]
  return execFileSync('curl', argv, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

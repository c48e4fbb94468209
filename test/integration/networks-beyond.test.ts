/** macvlan, egress lists and bandwidth limits the whole way: by gctr and by Docker's command, seen from inside. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { inPrivateHost } from '#sdk/network-private.ts'
import { Docker, dockerCommand } from '../clients/docker.ts'

const machine = '10.77.0.254'

if (inPrivateHost(fileURLToPath(import.meta.url))) {
  let docker: Docker
  let image: string
  const run = (...[program = '', ...args]: string[]) =>
    execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

  before(async () => {
    run('ip', 'link', 'set', 'lo', 'up')
    // The other end is left on this host, and answers there: a macvlan link reaches the wire, not its parent.
    run('ip', 'link', 'add', 'wire0', 'type', 'veth', 'peer', 'name', 'wire1')
    for (const link of ['wire0', 'wire1']) run('ip', 'link', 'set', link, 'up')
    run('ip', 'addr', 'add', `${machine}/24`, 'dev', 'wire1')
    docker = await Docker.start()
    image = await docker.daemon.importBusybox()
  })
  after(async () => {
    await docker?.[Symbol.asyncDispose]()
  })

  const ok = async (...words: string[]): Promise<string> => {
    const { code, stdout, stderr } = await docker.daemon.run(...words)
    assert.equal(code, 0, `gctr ${words.join(' ')}: ${stderr}`)
    return stdout.trim()
  }
  const refused = async (message: RegExp, ...words: string[]) => {
    const { code, stderr } = await docker.daemon.run(...words)
    assert.notEqual(code, 0)
    assert.match(stderr, message)
  }
  const pings = async (name: string, address: string) =>
    (await docker.daemon.run('tasks', 'exec', name, 'ping', '-c1', '-W1', address)).code === 0

  test('a container on a macvlan network, by gctr', async () => {
    await ok(
      ...'networks create wire --driver macvlan --subnet 10.77.0.0/24 --gateway 10.77.0.254 -o parent=wire0'.split(' '),
    )
    await ok(
      'run',
      '-d',
      '--name',
      'm1',
      '--net',
      'wire',
      '--ip',
      '10.77.0.9',
      '--mac-address',
      '02:00:00:00:00:09',
      image,
      'sleep',
      '1000',
    )
    assert.ok(await pings('m1', machine))
    const inside = await ok('tasks', 'exec', 'm1', 'ip', 'addr', 'show', 'eth0')
    assert.match(inside, /02:00:00:00:00:09[\s\S]*10\.77\.0\.9\/24/)
    await refused(/publish none/, 'networks', 'publish', 'm1', '8080:80')
    await refused(/"gantry\.network\.egress" is not one of this network's/, 'networks', 'egress', 'm1', 'none')
    assert.ok(await pings('m1', machine), 'as before')
    await refused(/containers attached/, 'networks', 'rm', 'wire')
    await ok('containers', 'rm', '-f', 'm1')
    await ok('networks', 'rm', 'wire')
  })

  test('an egress list and limits: at the start, while it runs, and for its next start', async () => {
    await ok('networks', 'create', 'blue')
    const opt = (text: string) => ['--network-opt', text]
    const options = [...opt('gantry.network.egress=10.77.0.0/24'), ...opt('gantry.network.rate.in=8mbit')]
    await ok('run', '-d', '--name', 'g1', '--net', 'blue', ...options, image, 'sleep', '1000')
    assert.ok(await pings('g1', machine))
    assert.match(run('tc', 'qdisc'), /tbf .*rate 8Mbit/)
    assert.match(await ok('networks', 'egress', 'g1', 'none'), /blue gantry\.network\.egress=none/)
    assert.ok(!(await pings('g1', machine)))
    assert.doesNotMatch(await ok('networks', 'limit', 'g1', '--in', '0', '--out', '2mbit'), /rate\.in/)
    assert.doesNotMatch(run('tc', 'qdisc'), /tbf/)
    await refused(/"10\.0\.0\.1\/8" has host bits/, 'networks', 'egress', 'g1', '10.0.0.1/8')

    await ok('tasks', 'stop', '-t', '0', 'g1')
    await ok('tasks', 'start', '-d', 'g1')
    assert.ok(!(await pings('g1', machine)), 'still in force')
    assert.match(await ok('networks', 'egress', 'g1'), /egress=none[\s\S]*rate\.out=2mbit/)
    await ok('networks', 'egress', 'g1', '--off')
    assert.ok(await pings('g1', machine))
    await ok('containers', 'rm', '-f', 'g1')
    await ok('networks', 'rm', 'blue')
  })

  test('by the docker command', { skip: dockerCommand === undefined && 'needs the docker command' }, async () => {
    const busybox = await docker.importBusybox()
    const said = (...words: string[]) => docker.ok(...words)
    await said(
      ...'network create -d macvlan --subnet 10.77.0.0/24 --gateway 10.77.0.254 -o parent=wire0 dwire'.split(' '),
    )
    assert.match(
      await said('run', '--rm', '--network', 'dwire', busybox, 'ping', '-c1', '-W2', machine),
      / 0% packet loss/,
    )
    assert.equal(await said('network', 'inspect', '-f', '{{.Driver}}', 'dwire'), 'macvlan')
    await said('network', 'rm', 'dwire')
    const guarded = ['run', '--rm', '--label', 'gantry.network.egress=10.1.2.3']
    const { code, stdout } = await docker.run([...guarded, busybox, 'ping', '-c1', '-W1', machine])
    assert.notEqual(code, 0)
    assert.match(stdout, /100% packet loss/)
  })
}

/** What `POST /containers/{id}/update` can do beyond Docker: a container that is there already gets other ports, labels, … */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from './conditions.ts'
import { Docker, dockerCommand } from './docker.ts'

const skip = dockerCommand === undefined ? 'no docker command (apt-get install docker.io)' : false
const image = 'busybox:test'

test('updates beyond Docker', { skip }, async t => {
  await using docker = await Docker.start()
  await docker.importBusybox(image)
  const ok = docker.ok.bind(docker)
  const update = async (id: string, body: object) => {
    const answer = await docker.request('POST', `/containers/${id}/update`, body)
    return { status: answer.status, ...(JSON.parse(answer.body) as { message?: string }) }
  }
  const inspect = async (id: string) => JSON.parse(await ok('inspect', id))[0]

  await t.test('environment and labels, for the next start', async () => {
    await ok('create', '--name', 'c1', '-e', 'A=1', '-e', 'B=2', '--label', 'x=1', '--label', 'y=2', image, 'env')
    assert.equal((await update('c1', { Env: ['B=3', 'C=4', 'A'], Labels: { x: null, z: '5' } })).status, 200)
    const { Config } = await inspect('c1')
    assert.deepEqual(Config.Labels, { y: '2', z: '5' })
    const output = await ok('start', '-a', 'c1')
    assert.match(output, /^B=3$/m)
    assert.match(output, /^C=4$/m)
    assert.doesNotMatch(output, /^A=/m)
    assert.equal(await ok('ps', '-a', '--filter', 'label=z=5', '--format', '{{.Names}}'), 'c1')
    assert.equal((await update('c1', { Env: ['=x'] })).status, 400)
    await ok('rm', 'c1')
  })

  await t.test('mounts come and go', async () => {
    await ok('create', '--name', 'c2', '-v', 'v1:/one', image, 'sh', '-c', 'ls -d /one /two; cat /two/group')
    const Mounts = [{ Type: 'image', Source: image, Target: '/two', ImageOptions: { Subpath: 'etc' } }]
    assert.equal((await update('c2', { Mounts, RemoveMounts: ['/one'] })).status, 200)
    const { stdout, stderr } = await docker.run(['start', '-a', 'c2'])
    assert.equal(stdout, '/two\nroot:x:0:\nnogroup:x:65534:\n')
    assert.match(stderr, /\/one: No such file/)
    const { HostConfig, Mounts: shown } = await inspect('c2')
    assert.equal(HostConfig.Binds, null)
    assert.deepEqual(
      shown.map(({ Destination }: { Destination: string }) => Destination),
      ['/two'],
    )
    assert.match((await update('c2', { RemoveMounts: ['/none'] })).message ?? '', /nothing is mounted at \/none/)
    await ok('rm', 'c2')
    await ok('volume', 'rm', 'v1')
  })

  await t.test('ports of a running container, at once and for later', async () => {
    const serve = 'while true; do echo hello | nc -l -p 80; done'
    await ok('run', '-d', '--name', 'c3', image, 'sh', '-c', serve)
    assert.equal((await update('c3', { PortBindings: { '80/tcp': [{ HostIp: '127.0.0.1' }] } })).status, 200)
    const address = async () => (await ok('port', 'c3', '80/tcp')).split('\n')[0] ?? ''
    const first = await address()
    assert.match(first, /^127\.0\.0\.1:\d+$/)
    await ok('restart', '-t', '0', 'c3')
    await until(async () => /:\d+$/.test(await address()))
    assert.equal((await update('c3', { PortBindings: { '80/tcp': null } })).status, 200)
    assert.equal(await ok('port', 'c3'), '')
    await ok('rm', '-f', 'c3')
  })

  await t.test('networks, with the container running or not', async () => {
    await ok('network', 'create', 'n1')
    await ok('run', '-d', '--name', 'c4', image, 'sleep', '1000')
    assert.equal((await update('c4', { Networks: { n1: { Aliases: ['other'] }, bridge: null } })).status, 200)
    const { NetworkSettings } = await inspect('c4')
    assert.deepEqual(Object.keys(NetworkSettings.Networks), ['n1'])
    assert.ok(NetworkSettings.Networks.n1.Aliases.includes('other'))
    assert.equal((await update('c4', { Networks: { nosuch: {} } })).status, 404)
    await ok('rm', '-f', 'c4')
    await ok('network', 'rm', 'n1')
  })
})

/** Networks that are not there yet, or no longer: Docker tells of them when a container is started, not before. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Docker, dockerCommand } from './docker.ts'

const skip = dockerCommand === undefined ? 'no docker command (apt-get install docker.io)' : false
const image = 'busybox:test'

test('containers of networks that are not there', { skip }, async t => {
  await using docker = await Docker.start()
  await docker.importBusybox(image)
  const ok = docker.ok.bind(docker)
  const says = async (line: string) => (await docker.run(line.split(' '))).stderr

  await t.test('a create takes the name, a start finds the network', async () => {
    await ok('create', '--name', 'w1', '--network', 'late1', image, 'true')
    assert.match(await says('start w1'), /network late1 not found/)
    assert.equal(await ok('inspect', '-f', '{{.State.Status}} {{.HostsPath}}', 'w1'), 'created')
    await ok('network', 'create', 'late1')
    await ok('start', '-a', 'w1')
    await ok('rm', 'w1')
    await ok('network', 'rm', 'late1')
  })

  await t.test('a stopped container joins one, and leaves it', async () => {
    await ok('create', '--name', 'w2', image, 'true')
    await ok('network', 'connect', 'late2', 'w2')
    assert.match(await says('start w2'), /network late2 not found/)
    await ok('network', 'disconnect', 'late2', 'w2')
    assert.match(await says('network disconnect late2 w2'), /is not connected to the network late2/)
    await ok('start', '-a', 'w2')
    await ok('rm', 'w2')
  })

  await t.test('a container whose network is gone can be changed', async () => {
    await ok('network', 'create', 'late3')
    await ok('create', '--name', 'w3', '--network', 'late3', image, 'true')
    await ok('network', 'rm', 'late3')
    await ok('update', '--memory', '64m', '--memory-swap', '64m', 'w3')
    assert.equal(await ok('inspect', '-f', '{{.HostConfig.Memory}}', 'w3'), `${64 * 1024 * 1024}`)
    await ok('rm', 'w3')
  })

  await t.test('a running container does neither', async () => {
    await ok('run', '-d', '--name', 'w4', image, 'sleep', '1000')
    assert.match(await says('network connect late4 w4'), /network late4 not found/)
    assert.match(await says('network disconnect late4 w4'), /network late4 not found/)
    assert.match(await says('network disconnect -f late4 w4'), /is not connected to the network late4/)
    assert.match(await says('network disconnect -f bridge nosuch'), /endpoint nosuch not found/)
    await ok('rm', '-f', 'w4')
  })

  await t.test('nobody has aliases on a default network', async () => {
    const body = { Image: image, Cmd: ['true'], NetworkingConfig: { EndpointsConfig: { bridge: { Aliases: ['x'] } } } }
    assert.equal((await docker.request('POST', '/containers/create?name=w5', body)).status, 201)
    const start = await docker.request('POST', '/containers/w5/start')
    assert.equal(start.status, 400)
    assert.match(start.body, /network-scoped aliases are only supported for user-defined networks/)
    await ok('rm', 'w5')
  })
})

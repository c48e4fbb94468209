/** The gateway keeps no truth of its own, and clients come and go as they like. */
import assert from 'node:assert/strict'
import { createConnection, type Socket } from 'node:net'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from './conditions.ts'
import { Docker, dockerCommand } from './docker.ts'
import { gatewayPid } from './gateway-pid.ts'

const skip = dockerCommand === undefined ? 'no docker command (apt-get install docker.io)' : false
const image = 'busybox:test'

test('gateway and clients that vanish', { skip }, async t => {
  await using docker = await Docker.start()
  await docker.importBusybox(image)

  await t.test('SIGKILL of the gateway: containers run on, and an end that it did not see is known', async () => {
    await docker.ok('run', '-d', '--name', 'ends', image, 'sh', '-c', 'sleep 1; exit 5')
    await docker.ok('run', '-d', '--name', 'stays', image, 'sleep', '1000')
    const before = await gatewayPid(docker)
    process.kill(before, 'SIGKILL')
    await until(async () => (await gatewayPid(docker)) !== before && (await gatewayPid(docker)) !== 0)
    await docker.ready()
    assert.equal(await docker.ok('inspect', '-f', '{{.State.Status}}', 'stays'), 'running')
    assert.equal(await docker.ok('wait', 'ends'), '5')
    assert.equal((await docker.run(['create', '--name', 'ends', image, 'true'])).code, 1)
    await docker.ok('rm', '-f', 'ends', 'stays')
  })

  await t.test('a container is seen by gctr in namespace moby, and the other way round', async () => {
    const id = await docker.ok('create', '--name', 'both', image, 'true')
    const { stdout } = await docker.daemon.run('-n', 'moby', 'containers', 'ls', '-q')
    assert.ok(stdout.split('\n').includes(id))
    await docker.daemon.run('-n', 'moby', 'containers', 'rm', id)
    assert.equal((await docker.run(['inspect', 'both'])).code, 1)
  })

  await t.test('attach without an upgrade: the stream follows the head', async () => {
    const id = await docker.ok('create', '-i', '--name', 'raw', image, 'cat')
    const client = connect(docker, `POST /v1.41/containers/${id}/attach?stream=1&stdin=1&stdout=1`)
    await until(async () => client.received().includes('\r\n\r\n'))
    await docker.ok('start', 'raw')
    client.socket.write('typed\n')
    await until(async () => client.received().endsWith('\x01\0\0\0\0\0\0\x06typed\n'))
    client.socket.end()
    assert.equal(await docker.ok('wait', 'raw'), '0')
    await docker.ok('rm', 'raw')
  })

  await t.test('a client that leaves in the middle of wait, logs and stats leaves nothing behind', async () => {
    await docker.ok('run', '-d', '--name', 'watched', image, 'sleep', '1000')
    for (const call of [
      'POST /containers/watched/wait',
      'GET /containers/watched/logs?follow=1&stdout=1',
      'GET /containers/watched/stats',
    ]) {
      const client = connect(docker, call)
      await until(async () => client.received().includes('\r\n\r\n'))
      client.socket.destroy()
    }
    await sleep(100)
    assert.equal(await docker.ok('inspect', '-f', '{{.State.Status}}', 'watched'), 'running')
    await docker.ok('rm', '-f', 'watched')
  })

  await t.test('refusals have Docker’s status and form', async () => {
    const refused = async (method: string, path: string, body?: unknown) => {
      const answer = await docker.request(method, path, body)
      assert.equal(typeof JSON.parse(answer.body).message, 'string')
      return answer.status
    }
    assert.equal(await refused('GET', '/v1.23/containers/json'), 400)
    assert.equal(await refused('GET', '/v9.99/containers/json'), 400)
    assert.equal(await refused('GET', '/containers/nosuch/json'), 404)
    assert.equal(await refused('POST', '/containers/create', { Image: image, Cmd: 5 }), 400)
    assert.equal(await refused('POST', '/containers/create', { Image: 'nosuch' }), 404)
    assert.equal(await refused('GET', '/containers/json?filters={"status":["bogus"]}'), 400)
    assert.equal(await refused('GET', '/nothing/here'), 404)
  })
})

function connect(docker: Docker, call: string): { socket: Socket; received(): string } {
  const socket = createConnection(docker.socket)
  let text = ''
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
  })
  socket.on('error', () => {})
  socket.write(`${call} HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n`)
  return { socket, received: () => text }
}

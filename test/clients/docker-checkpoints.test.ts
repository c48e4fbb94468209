/** Checkpoints by Docker's API. Whether CRIU knows this kernel is its own matter: where it does not, its reason is told. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from './conditions.ts'
import { Docker, dockerCommand } from './docker.ts'

const skip = dockerCommand === undefined ? 'no docker command (apt-get install docker.io)' : false
const image = 'busybox:test'

test('checkpoints', { skip }, async t => {
  await using docker = await Docker.start()
  await docker.importBusybox(image)
  const counter = 'i=0; while true; do i=$((i+1)); echo $i > /count; sleep 0.1; done'
  await docker.ok('run', '-d', '--net', 'none', '--name', 'c1', image, 'sh', '-c', counter)
  const post = (body: object) => docker.request('POST', '/containers/c1/checkpoints', body)
  const names = async () => JSON.parse((await docker.request('GET', '/containers/c1/checkpoints')).body)

  await t.test('names, folders and containers that there are not', async () => {
    assert.deepEqual(await names(), [])
    assert.match((await post({ CheckpointID: '../x' })).body, /invalid checkpoint ID/)
    assert.equal((await post({ CheckpointID: 'first', CheckpointDir: '/tmp' })).status, 400)
    assert.equal((await docker.request('GET', '/containers/nosuch/checkpoints')).status, 404)
    const gone = await docker.request('DELETE', '/containers/c1/checkpoints/none')
    assert.match(gone.body, /checkpoint none does not exist for container c1/)
    await docker.ok('create', '--name', 'c2', image)
    const still = await docker.request('POST', '/containers/c2/checkpoints', { CheckpointID: 'first' })
    assert.equal(still.status, 409)
    const started = await docker.request('POST', '/containers/c2/start?checkpoint=none')
    assert.match(started.body, /checkpoint none does not exist for container c2/)
  })

  await t.test('written down, ended, started from it', async st => {
    const made = await post({ CheckpointID: 'first', Exit: true })
    if (made.status !== 201) {
      assert.match(made.body, /Cannot checkpoint container c1: .*criu/i)
      assert.deepEqual(await names(), [])
      return st.skip(`CRIU: ${made.body.slice(0, 200)}`)
    }
    assert.deepEqual(await names(), [{ Name: 'first' }])
    await until(async () => (await docker.ok('inspect', '-f', '{{.State.Running}}', 'c1')) === 'false')
    assert.equal((await docker.request('POST', '/containers/c1/start?checkpoint=first')).status, 204)
    const count = async () => Number(await docker.ok('exec', 'c1', 'cat', '/count'))
    const before = await count()
    await until(async () => (await count()) > before)
    assert.equal((await docker.request('DELETE', '/containers/c1/checkpoints/first')).status, 204)
    assert.deepEqual(await names(), [])
  })
})

/**
 * The gateway keeps copies of what it made and of what it tells events of: nobody may notice, whoever changes a container
 * meanwhile.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TasksDefinition } from '#api/gen/containerd/services/tasks/v1/tasks.ts'
import { ContainersServiceDefinition } from '#api/gen/gantry/services/containers/v1/containers.ts'
import { connect, createClient } from '#api/rpc/client.ts'
import { until } from './conditions.ts'
import { Docker, dockerCommand } from './docker.ts'

const skip = dockerCommand === undefined ? 'no docker command (apt-get install docker.io)' : false
const image = 'busybox:test'

test('copies of containers are as good as the containers', { skip }, async t => {
  await using docker = await Docker.start()
  await docker.importBusybox(image)
  using core = connect(docker.daemon.address, { namespace: 'moby' })
  const tasks = createClient(TasksDefinition, core)
  const containers = createClient(ContainersServiceDefinition, core)
  const since = String(Math.floor(Date.now() / 1000) - 1)

  await t.test('a new one that somebody else has started is running', async () => {
    const id = await docker.ok('create', image, 'sleep', '1000')
    await tasks.create({ containerId: id })
    await tasks.start({ containerId: id })
    await docker.ok('start', id)
    const waited = docker.run(['wait', id])
    await docker.ok('kill', '--signal', 'KILL', id)
    assert.equal((await waited).stdout.trim(), '137')
    await docker.ok('rm', id)
  })

  await t.test('a new one that has got another name is told of by that', async () => {
    const id = await docker.ok('create', '--name', 'before', image, 'true')
    await docker.ok('rename', 'before', 'between')
    await containers.update({ id, name: 'after' })
    await docker.ok('start', '--attach', id)
    await docker.ok('rm', id)
    await until(async () => (await told(docker, since, id)).some(line => line.startsWith('destroy')))
    const lines = await told(docker, since, id)
    assert.deepEqual(lines, [
      ...['create before', 'rename between', 'attach after', 'start after', 'die after', 'destroy after'],
    ])
  })

  await t.test('a new one that is gone is not there', async () => {
    const id = await docker.ok('create', image, 'true')
    await docker.daemon.run('-n', 'moby', 'containers', 'rm', id)
    const { code, stderr } = await docker.run(['start', id])
    assert.equal(code, 1)
    assert.match(stderr, new RegExp(`No such container: ${id}`))
  })

  await t.test('an exec runs in what the container is after an update', async () => {
    const id = await docker.ok('run', '-d', '--name', 'subject', '--env', 'A=1', image, 'sleep', '1000')
    assert.equal(await docker.ok('exec', id, 'sh', '-c', 'echo $A'), '1')
    await docker.ok('rename', 'subject', 'renamed')
    assert.equal(await docker.ok('exec', '--env', 'B=2', id, 'sh', '-c', 'echo $A$B'), '12')
    const started = (await told(docker, since, id)).filter(line => line.startsWith('exec_start'))
    assert.deepEqual(
      started.map(line => line.split(' ').at(-1)),
      ['subject', 'renamed'],
    )
    await docker.ok('rm', '-f', id)
  })
})

/** Events of one container until now: what happened, and its name then. */
async function told(docker: Docker, since: string, id: string): Promise<string[]> {
  const until = (Date.now() / 1000).toFixed(3)
  const form = '{{.Action}} {{.Actor.Attributes.name}}'
  const all = await docker.ok(
    'events',
    '--since',
    since,
    '--until',
    until,
    '--filter',
    `container=${id}`,
    '--format',
    form,
  )
  return all.split('\n').filter(line => line !== '')
}

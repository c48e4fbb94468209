/** What `ps` and `top` show where an easier answer would do for most containers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Docker, dockerCommand } from './docker.ts'

const skip = dockerCommand === undefined ? 'no docker command (apt-get install docker.io)' : false
const image = 'busybox:test'

test('listing containers', { skip }, async t => {
  await using docker = await Docker.start()
  await docker.importBusybox(image)
  const ok = docker.ok.bind(docker)
  await ok('run', '-d', '--name', 'w1', '--user', '1000', image, 'sleep', '1000')

  await t.test('top shows processes of other users, whatever ps was asked for', async () => {
    assert.match(await ok('top', 'w1', '-o', 'pid,comm'), /^PID\s+COMMAND\n\d+\s+sleep$/)
    assert.match(await ok('top', 'w1'), /sleep 1000/)
    assert.match(await ok('top', 'w1', 'ax', '-o', 'pid,comm'), /sleep/)
  })

  await t.test('an exec without a user is shown with the container’s', async () => {
    const { body } = await docker.request('POST', '/containers/w1/exec', { Cmd: ['true'] })
    const exec = await docker.request('GET', `/exec/${JSON.parse(body).Id}/json`)
    assert.equal(JSON.parse(exec.body).ProcessConfig.user, '1000')
  })

  await t.test('a create that is refused leaves no volume behind', async () => {
    const { stderr } = await docker.run(['create', '--name', 'w1', '-v', 'left:/v', image])
    assert.match(stderr, /already in use by container/)
    assert.equal(await ok('volume', 'ls', '-q'), '')
  })
  await ok('rm', '-f', 'w1')
})

/** Health checks as Docker's clients see them: whoever dies meanwhile, and what is told to whom. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Scoreboard } from '../interop/scoreboard.ts'
import { until } from './conditions.ts'
import { Docker, dockerCommand } from './docker.ts'

const skip = dockerCommand === undefined ? 'no docker command (apt-get install docker.io)' : false
const image = 'busybox:test'
const probes = ['--health-cmd', 'test ! -e /tmp/sick', '--health-interval', '200ms', '--health-retries', '2']
const check = ['--network', 'none', ...probes]

test('health of containers', { skip }, async t => {
  await using docker = await Docker.start()
  using board = new Scoreboard()
  await docker.importBusybox(image)
  const verb = (name: string, body: () => Promise<void>) => board.verb(t as TestContext, 'docker: health', name, body)

  await verb('a change is known that came while gantryd was away, and the last probes after the end', async () => {
    const id = await docker.ok('run', '-d', '--name', 'box', ...check, image, 'sleep', '1000')
    await until(async () => (await healthOf(docker, 'box')).Status === 'healthy')
    const pid = await docker.ok('inspect', '-f', '{{.State.Pid}}', 'box')
    await docker.daemon.kill()
    // The container's own root: nobody else is there to ask.
    await writeFile(`/proc/${pid}/root/tmp/sick`, '')
    await sleep(1000)
    await docker.daemon.start()
    await docker.ready()
    await until(async () => (await healthOf(docker, 'box')).Status === 'unhealthy')
    assert.equal(await docker.ok('ps', '-q', '--no-trunc', '--filter', 'health=unhealthy'), id)
    await docker.ok('kill', 'box')
    await until(async () => (await docker.ok('inspect', '-f', '{{.State.Status}}', 'box')) === 'exited')
    const { Status, FailingStreak, Log } = await healthOf(docker, 'box')
    assert.equal(Status, 'unhealthy')
    assert.ok(FailingStreak >= 2 && Log.length === 5 && Log.every(({ ExitCode }) => ExitCode === 1))
    await docker.ok('start', 'box')
    const startedAt = Date.parse(await docker.ok('inspect', '-f', '{{.State.StartedAt}}', 'box'))
    const { Log: anew } = await healthOf(docker, 'box')
    assert.ok(
      anew.every(({ Start }) => Date.parse(Start) >= startedAt),
      'a new run begins anew',
    )
    await docker.ok('rm', '-f', 'box')
  })

  await verb('events: changes are for everybody, execs of probes for those who want them', async () => {
    const [all, changes] = [follow(docker, {}), follow(docker, { event: ['health_status'] })]
    const id = await docker.ok('run', '-d', '--name', 'first', ...check, image, 'sleep', '1000')
    await docker.ok('rename', 'first', 'second')
    const exec = (action: string) => all.events.filter(({ Action }) => Action.startsWith(action)).at(-1)
    await until(async () => exec('exec_die')?.Actor.Attributes.name === 'second')
    assert.equal(exec('exec_create')?.Action, 'exec_create: /bin/sh -c test ! -e /tmp/sick')
    const { ID, Attributes } = exec('exec_die')?.Actor ?? {}
    assert.equal(ID, id)
    assert.equal(Attributes?.exitCode, '0')
    assert.match(Attributes?.execID ?? '', /^[0-9a-f]{64}$/)
    await docker.ok('exec', 'second', 'touch', '/tmp/sick')
    await until(async () => changes.events.length === 2)
    assert.deepEqual(
      changes.events.map(({ Action }) => Action),
      ['health_status: healthy', 'health_status: unhealthy'],
    )
    all.close()
    changes.close()
    await docker.ok('rm', '-f', 'second')
  })

  await verb('a paused container is not probed', async () => {
    await docker.ok('run', '-d', '--name', 'still', ...check, image, 'sleep', '1000')
    await until(async () => (await healthOf(docker, 'still')).Log.length > 0)
    await docker.ok('pause', 'still')
    const { Log: before } = await healthOf(docker, 'still')
    await sleep(1000)
    const { Log: after, Status } = await healthOf(docker, 'still')
    // One may have been under way.
    assert.ok(
      (after.at(-2) ?? after.at(-1))?.Start === before.at(-1)?.Start || after.at(-1)?.Start === before.at(-1)?.Start,
    )
    assert.equal(Status, 'healthy')
    await docker.ok('unpause', 'still')
    await until(async () => (await healthOf(docker, 'still')).Log.at(-1)?.Start !== after.at(-1)?.Start)
    await docker.ok('rm', '-f', 'still')
  })
})

interface Health {
  Status: string
  FailingStreak: number
  Log: { Start: string; ExitCode: number; Output: string }[]
}

async function healthOf(docker: Docker, name: string): Promise<Health> {
  const { body } = await docker.request('GET', `/containers/${name}/json`)
  return JSON.parse(body).State.Health
}

interface Event {
  Action: string
  Actor: { ID: string; Attributes: Record<string, string> }
}

/** `/events` until closed. */
function follow({ socket }: Docker, filters: object): { events: Event[]; close(): void } {
  const events: Event[] = []
  const path = `/events?filters=${encodeURIComponent(JSON.stringify(filters))}`
  const sent = request({ socketPath: socket, path }, response => {
    let rest = ''
    response.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      events.push(...lines.map(line => JSON.parse(line)))
    })
    response.on('error', () => {})
  })
  sent.on('error', () => {})
  sent.end()
  return { events, close: () => sent.destroy() }
}

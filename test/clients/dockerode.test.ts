/** dockerode (npm): streams, hijacked connections and requests without a version. */
import assert from 'node:assert/strict'
import { PassThrough, type Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import Dockerode from 'dockerode'
import { Scoreboard } from '../interop/scoreboard.ts'
import { registryWorld } from './registry-world.ts'

const part = 'dockerode'

test('dockerode', async t => {
  await using world = await registryWorld()
  using board = new Scoreboard()
  const verb = (name: string, body: () => Promise<void>) => board.verb(t, part, name, body)
  const docker = new Dockerode({ socketPath: world.docker.socket })

  await verb('ping, version, info', async () => {
    assert.equal(String(await docker.ping()), 'OK')
    assert.equal((await docker.version()).ApiVersion, '1.51')
    assert.equal((await docker.info()).Images, 0)
  })
  await verb('pull, followed to its end', async () => {
    const messages = await followed(docker, await docker.pull('busybox:latest'))
    assert.ok(
      messages.some(({ status }) => status === 'Pull complete'),
      JSON.stringify(messages),
    )
    assert.match(messages.at(-1)?.status ?? '', /Downloaded newer image/)
  })
  await verb('a pull that fails rejects', () =>
    assert.rejects(docker.pull('nosuch:1'), { statusCode: 404, message: /manifest unknown/ }),
  )
  await verb('images: list, inspect, tag, history, remove', async () => {
    const [image] = await docker.listImages({ filters: { reference: ['busybox'] } })
    assert.deepEqual(image?.RepoTags, ['busybox:latest'])
    const handle = docker.getImage('busybox')
    assert.equal((await handle.inspect()).Id, image?.Id)
    await handle.tag({ repo: 'mine/copy', tag: '2' })
    await handle.history()
    assert.deepEqual(await docker.getImage('mine/copy:2').remove(), [{ Untagged: 'mine/copy:2' }])
    await assert.rejects(docker.getImage('nosuch').inspect(), { statusCode: 404 })
  })
  await verb('save and load', async () => {
    const archive = await docker.getImage('busybox').get()
    const answer = await docker.loadImage(archive as unknown as NodeJS.ReadableStream)
    assert.match(await text(answer as Readable), /Loaded image: busybox:latest/)
  })
  await verb('run, with its output and exit code', async () => {
    const output = new PassThrough()
    const collected = text(output)
    // Without AutoRemove: dockerode asks for the exit code after the start, when the container may be gone by then.
    const [outcome, container] = await docker.run('busybox', ['sh', '-c', 'echo out; exit 3'], output, {})
    await container.remove()
    output.end()
    assert.equal(outcome.StatusCode, 3)
    assert.match(await collected, /out/)
  })
  await verb('containers: create, attach, stdin, wait, logs, remove', async () => {
    const container = await docker.createContainer({ Image: 'busybox', Cmd: ['cat'], OpenStdin: true, StdinOnce: true })
    const stream = await container.attach({ stream: true, stdin: true, stdout: true, stderr: true, hijack: true })
    const [out, errors] = [new PassThrough(), new PassThrough()]
    container.modem.demuxStream(stream, out, errors)
    stream.once('end', () => out.end())
    await container.start()
    stream.end('through\n')
    assert.equal(await text(out), 'through\n')
    assert.equal((await container.wait()).StatusCode, 0)
    assert.match(String(await container.logs({ stdout: true })), /through/)
    await container.remove()
    await assert.rejects(container.inspect(), { statusCode: 404 })
  })
  await verb('exec', async () => {
    const container = await docker.createContainer({ Image: 'busybox', Cmd: ['sleep', '600'], name: 'execs' })
    await container.start()
    const exec = await container.exec({ Cmd: ['sh', '-c', 'cat; exit 4'], AttachStdin: true, AttachStdout: true })
    const stream = await exec.start({ hijack: true, stdin: true })
    const out = new PassThrough()
    docker.modem.demuxStream(stream, out, out)
    stream.once('end', () => out.end())
    stream.end('typed')
    assert.equal(await text(out), 'typed')
    assert.equal((await exec.inspect()).ExitCode, 4)
    await container.remove({ force: true })
  })
  await verb('networks and volumes', async () => {
    const network = await docker.createNetwork({ Name: 'ode', Labels: { a: 'b' }, CheckDuplicate: true })
    assert.equal((await network.inspect()).Name, 'ode')
    assert.equal((await docker.listNetworks({ filters: { label: ['a=b'] } })).length, 1)
    await network.remove()
    const volume = await docker.createVolume({ Name: 'ode', Labels: { a: 'b' } })
    assert.equal(volume.name, 'ode')
    assert.equal((await docker.listVolumes()).Volumes.length, 1)
    await docker.getVolume('ode').remove()
    await assert.rejects(docker.getVolume('ode').inspect(), { statusCode: 404 })
  })
  await verb('events as they happen', async () => {
    const stream = (await docker.getEvents({ filters: { type: ['volume'] } })) as Readable
    const first = new Promise<string>(resolve => stream.once('data', chunk => resolve(String(chunk))))
    await docker.createVolume({ Name: 'seen' })
    assert.equal(JSON.parse(await first).Actor.ID, 'seen')
    stream.destroy()
    await docker.getVolume('seen').remove()
  })
  await verb('what is not served rejects', async () => {
    await assert.rejects(docker.swarmInspect(), { statusCode: 503 })
    await assert.rejects(docker.listNodes(), { statusCode: 503 })
    assert.deepEqual(await docker.listPlugins(), [])
  })
  await verb('df and prune', async () => {
    assert.equal((await docker.df()).Images.length, 1)
    assert.ok((await docker.pruneImages({ filters: { dangling: ['false'] } })).SpaceReclaimed > 0)
    await docker.pruneContainers()
    await docker.pruneNetworks()
    await docker.pruneVolumes()
  })
})

function followed(docker: Dockerode, stream: NodeJS.ReadableStream): Promise<{ status?: string }[]> {
  return new Promise((resolve, reject) =>
    docker.modem.followProgress(stream, (error, messages) => (error ? reject(error) : resolve(messages))),
  )
}

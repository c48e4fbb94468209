/** Volumes that a plugin keeps, by Docker's volume plugin protocol: the docker command on a small real plugin. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { until } from './conditions.ts'
import { Docker, dockerCommand } from './docker.ts'
import { gatewayPid } from './gateway-pid.ts'
import { VolumePlugin } from './volume-plugin.ts'

const skip = dockerCommand === undefined ? 'no docker command (apt-get install docker.io)' : false
const image = 'busybox:test'

test('volume plugins', { skip }, async t => {
  await using undo = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'gt-vp-'))
  undo.defer(() => rm(folder, { recursive: true, force: true }))
  const plugin = undo.use(await VolumePlugin.serve(join(folder, 'store'), join(folder, 'plugins/shelf.sock')))
  const config = `[plugins.gateways.docker]\ndocker_plugin_folders = ["${join(folder, 'plugins')}"]\n`
  const docker = undo.use(await Docker.start({ config }))
  await docker.importBusybox(image)
  const ok = docker.ok.bind(docker)
  const data = (name: string) => join(folder, 'store/data', name)

  await t.test('create, ls, inspect', async () => {
    assert.equal(await ok('volume', 'create', '-d', 'shelf', '--label', 'a=b', '-o', 'depth=3', 'v1'), 'v1')
    assert.equal(await ok('volume', 'ls', '--format', '{{.Driver}} {{.Name}} {{.Scope}}'), 'shelf v1 global')
    const [volume] = JSON.parse(await ok('volume', 'inspect', 'v1'))
    const { Driver, Labels, Options, Scope, Status } = volume
    assert.deepEqual(
      { Driver, Labels, Options, Scope, Status },
      {
        ...{
          Driver: 'shelf',
          Labels: { a: 'b' },
          Options: { depth: '3' },
          Scope: 'global',
          Status: { shelf: 'upper' },
        },
      },
    )
    assert.match(await ok('info', '--format', '{{.Plugins.Volume}}'), /local shelf/)
  })

  await t.test('what the plugin refuses is told in its words', async () => {
    const { code, stderr } = await docker.run(['volume', 'create', '-d', 'shelf', '-o', 'colour=red', 'v2'])
    assert.equal(code, 1)
    assert.match(stderr, /create v2: VolumeDriver\.Create: no red volumes here/)
    const conflict = await docker.run(['volume', 'create', '-d', 'local', 'v1'])
    assert.match(conflict.stderr, /it exists with driver "shelf"/)
  })

  await t.test('a container has it mounted while it runs', async () => {
    await ok('run', '-d', '--name', 'user', '-v', 'v1:/data', image, 'sh', '-c', 'echo kept > /data/file; sleep 1000')
    assert.equal(plugin.usersOf('v1'), 1)
    const [{ Mounts }] = JSON.parse(await ok('inspect', 'user'))
    assert.deepEqual([Mounts[0].Driver, Mounts[0].Source], ['shelf', join(folder, 'store/mounted/v1')])
    await until(async () => (await readFile(join(data('v1'), 'file'), 'utf8').catch(() => '')) === 'kept\n')
    await ok('stop', '-t', '0', 'user')
    await until(async () => plugin.usersOf('v1') === 0)
    await ok('start', 'user')
    assert.equal(await ok('exec', 'user', 'cat', '/data/file'), 'kept')
    assert.match((await docker.run(['volume', 'rm', 'v1'])).stderr, /volume is in use/)
  })

  await t.test('cp of a stopped container gets at it', async () => {
    await ok('stop', '-t', '0', 'user')
    await until(async () => plugin.usersOf('v1') === 0)
    await ok('cp', 'user:/data/file', join(folder, 'copied'))
    assert.equal(await readFile(join(folder, 'copied'), 'utf8'), 'kept\n')
    assert.equal(plugin.usersOf('v1'), 0)
    await ok('rm', 'user')
  })

  await t.test('--volume-driver and --mount make volumes; a new one begins with what the image has', async () => {
    await ok('run', '--rm', '--volume-driver', 'shelf', '-v', 'v3:/etc', image, 'true')
    assert.ok((await readdir(data('v3'))).includes('passwd'))
    await ok('run', '--rm', '--mount', 'src=v4,dst=/data,volume-driver=shelf', image, 'touch', '/data/x')
    assert.deepEqual(await readdir(data('v4')), ['x'])
    await until(async () => plugin.usersOf('v3') + plugin.usersOf('v4') === 0)
    await ok('volume', 'rm', 'v3', 'v4')
    await assert.rejects(readdir(data('v4')), { code: 'ENOENT' })
  })

  await t.test('what somebody else has made is there', async () => {
    await mkdir(data('found'), { recursive: true })
    await writeFile(join(data('found'), 'note'), 'from elsewhere\n')
    assert.match(await ok('volume', 'ls', '-q'), /found/)
    assert.equal(await ok('run', '--rm', '-v', 'found:/data', image, 'cat', '/data/note'), 'from elsewhere')
    assert.equal(await ok('volume', 'inspect', '-f', '{{.Driver}}', 'found'), 'shelf')
    await ok('volume', 'rm', 'found')
  })

  await t.test('a gateway that was killed lets go of what containers have left meanwhile', async () => {
    const id = await ok('run', '-d', '-v', 'v1:/data', image, 'sleep', '1000')
    const pid = await gatewayPid(docker)
    assert.ok(pid > 0, 'the gateway has no process')
    process.kill(pid, 'SIGKILL')
    const { code, stderr } = await docker.daemon.run('-n', 'moby', 'containers', 'rm', '--force', id)
    assert.equal(code, 0, stderr)
    await docker.ready()
    await until(async () => plugin.usersOf('v1') === 0)
  })

  await t.test('a plugin described by a .spec; one that is gone is named', async () => {
    const other = await VolumePlugin.serve(join(folder, 'other'), join(folder, 'elsewhere.sock'))
    await writeFile(join(folder, 'plugins/cellar.spec'), `unix://${join(folder, 'elsewhere.sock')}\n`)
    await ok('volume', 'create', '-d', 'cellar', 'wine')
    await other[Symbol.asyncDispose]()
    await rm(join(folder, 'elsewhere.sock'), { force: true })
    const { code, stderr } = await docker.run(['run', '--rm', '-v', 'wine:/data', image, 'true'])
    assert.equal(code, 125)
    assert.match(stderr, /plugin "cellar" cannot be reached/)
    assert.match((await docker.run(['volume', 'rm', 'wine'])).stderr, /remove wine: .*cellar/)
    await ok('volume', 'rm', '--force', 'wine')
    await ok('volume', 'rm', 'v1')
    assert.deepEqual(await readdir(join(folder, 'store/data')), [])
  })
})

/** The docker command on images: from a registry and back, names, archives, removal. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { Scoreboard } from '../interop/scoreboard.ts'
import { startRegistry } from '../registry/registry.ts'
import { dockerCommand } from './docker.ts'
import { busyboxImage, registryWorld } from './registry-world.ts'

const skip = dockerCommand === undefined ? 'no docker command (apt-get install docker.io)' : false
const part = 'docker: images'

test('docker on images', { skip }, async t => {
  await using world = await registryWorld()
  using board = new Scoreboard()
  const { docker, registry, busybox } = world
  const ok = docker.ok.bind(docker)
  const verb = (name: string, body: () => Promise<void>) => board.verb(t, part, name, body)
  const id = busybox.blobs.at(-2)?.digest ?? ''
  const digest = busybox.target.digest
  const failing = async (...args: string[]) => {
    const { code, stderr } = await docker.run(args)
    assert.notEqual(code, 0, `docker ${args.join(' ')} succeeded`)
    return stderr
  }

  await verb('pull tells of each layer', async () => {
    const text = await ok('pull', 'busybox')
    assert.match(text, /latest: Pulling from library\/busybox/)
    for (const layer of busybox.layers) {
      const short = layer.digest.slice(7, 19)
      for (const status of ['Pulling fs layer', 'Download complete', 'Pull complete'])
        assert.match(text, new RegExp(`${short}: ${status}`))
    }
    assert.match(text, new RegExp(`Digest: ${digest}`))
    assert.match(text, /Status: Downloaded newer image for busybox:latest/)
  })
  await verb('pull of what is here says so', async () => {
    assert.match(await ok('pull', 'busybox'), /Status: Image is up to date for busybox:latest/)
  })
  await verb('pull of what is nowhere is refused', async () => {
    assert.match(await failing('pull', 'nosuch'), /manifest for nosuch:latest not found: manifest unknown/)
    const answer = await docker.request('POST', '/v1.41/images/create?fromImage=nosuch&tag=1')
    assert.equal(answer.status, 404)
    assert.match(
      await failing('pull', '--platform', 'linux/ppc64le', 'multi:1'),
      /no matching manifest for linux\/ppc64le/,
    )
  })
  await verb('pull of another platform', async () => {
    await ok('pull', '--platform', 'linux/s390x', 'multi:1')
    assert.equal(await ok('image', 'inspect', '--format', '{{.Architecture}}', 'multi:1'), 's390x')
    await ok('rmi', 'multi:1')
  })
  await verb('pull by digest', async () => {
    assert.match(await ok('pull', `busybox@${digest}`), new RegExp(`Digest: ${digest}`))
  })
  await verb('pull of all tags', async () => {
    await ok('pull', '--all-tags', 'busybox')
    const tags = await ok('images', '--format', '{{.Repository}}:{{.Tag}}')
    assert.deepEqual(tags.split('\n').sort(), ['busybox:1.36', 'busybox:latest'])
  })
  await verb('inspect by name, id, short id and digest', async () => {
    for (const name of ['busybox', id, id.slice(7), id.slice(7, 19), `busybox@${digest}`, digest])
      assert.equal(await ok('image', 'inspect', '--format', '{{.Id}}', name), id, name)
    const [image] = JSON.parse(await ok('image', 'inspect', 'busybox'))
    assert.deepEqual(image.RepoTags, ['busybox:1.36', 'busybox:latest'])
    assert.deepEqual(image.RepoDigests, [`busybox@${digest}`])
    assert.deepEqual(image.Config.Cmd, ['sh'])
    assert.deepEqual(
      image.RootFS.Layers,
      busybox.layers.map(layer => layer.diffID),
    )
    assert.ok(image.Size > 1_000_000, `${image.Size} bytes`)
    assert.match(await failing('image', 'inspect', 'nosuch'), /No such image: nosuch/)
  })
  await verb('images with filters', async () => {
    const names = async (...filters: string[]) =>
      (await ok('images', '-q', '--no-trunc', ...filters.flatMap(filter => ['--filter', filter])))
        .split('\n')
        .filter(Boolean)
    assert.deepEqual([...new Set(await names('reference=busy*:latest'))], [id])
    assert.deepEqual(await names('reference=other*'), [])
    assert.deepEqual([...new Set(await names('label=made=here'))], [id])
    assert.deepEqual(await names('label=made=there'), [])
    assert.deepEqual(await names('dangling=true'), [])
    assert.match(await failing('images', '--filter', 'colour=red'), /invalid filter 'colour'/)
  })
  await verb('history', async () => assert.equal(await ok('history', '-q', 'busybox'), ''))
  await verb('tag and rmi of one name', async () => {
    await ok('tag', 'busybox', 'mine/other:2')
    assert.equal(await ok('rmi', 'mine/other:2'), 'Untagged: mine/other:2')
    assert.match(await failing('tag', 'nosuch', 'x'), /No such image/)
    assert.match(await failing('tag', 'busybox', 'Upper'), /must be lowercase|invalid reference format/)
  })
  await verb('push, and the digest that it gives', async () => {
    const name = `${registry.host}/pushed/app:1`
    await ok('tag', 'busybox', name)
    const text = await ok('push', name)
    assert.match(text, new RegExp(`The push refers to repository \\[${registry.host}/pushed/app\\]`))
    assert.match(text, new RegExp(`1: digest: ${digest} size: ${busybox.target.size}`))
    const answer = await fetch(`http://${registry.host}/v2/pushed/app/tags/list`)
    assert.deepEqual(await answer.json(), { name: 'pushed/app', tags: ['1'] })
    assert.match(await ok('push', name), /Layer already exists/)
    assert.match(await failing('push', `${registry.host}/pushed/app:2`), /tag does not exist/)
    assert.match(await ok('rmi', name), new RegExp(`Untagged: ${name}\nUntagged: .*/pushed/app@${digest}`))
  })
  await verb('an image that lost its name stays, and can be pruned', async () => {
    await world.publish('library/moving', '1', busyboxImage([{ path: 'one' }]))
    await ok('pull', '-q', 'moving:1')
    const before = await ok('images', '-q', '--no-trunc', 'moving')
    await world.publish('library/moving', '1', busyboxImage([{ path: 'two' }]))
    await ok('pull', '-q', 'moving:1')
    assert.notEqual(await ok('images', '-q', '--no-trunc', 'moving:1'), before)
    assert.equal(await ok('images', '-q', '--no-trunc', '--filter', 'dangling=true'), before)
    assert.match(await ok('image', 'prune', '--force'), new RegExp(`deleted: ${before}`))
    assert.match(await failing('image', 'inspect', before), /No such image/)
    await ok('rmi', 'moving:1')
  })
  await verb('save and load', async () => {
    const file = join(docker.folder, 'saved.tar')
    await ok('save', '-o', file, 'busybox')
    await ok('rmi', '-f', 'busybox:latest', 'busybox:1.36')
    const text = await ok('load', '-i', file)
    assert.deepEqual(text.split('\n').sort(), ['Loaded image: busybox:1.36', 'Loaded image: busybox:latest'])
    assert.equal(await ok('image', 'inspect', '--format', '{{.Id}}', 'busybox'), id)
    await ok('save', '-o', file, id)
    assert.match(await failing('save', '-o', file, 'nosuch'), /No such image: nosuch/)
    await ok('rmi', '-f', id)
    assert.equal(await ok('load', '-i', file), `Loaded image ID: ${id}`)
  })
  await verb('load of something else fails', async () => {
    const { stderr, code } = await docker.run(['load'], { stdin: 'no tar' })
    assert.notEqual(code, 0, stderr)
  })
  await verb('rmi while a container uses it', async () => {
    await ok('pull', '-q', 'busybox')
    await ok('create', '--name', 'user', 'busybox')
    assert.match(
      await failing('rmi', 'busybox'),
      /conflict: unable to remove repository reference "busybox" \(must force\)/,
    )
    assert.match(
      await failing('rmi', id),
      /conflict: unable to delete .* \(must be forced\) - image is being used by stopped/,
    )
    await ok('rm', 'user')
    const text = await ok('rmi', 'busybox')
    assert.match(text, new RegExp(`Deleted: ${id}`))
    assert.equal(await ok('images', '-q'), '')
  })
  await verb('what was removed is gone from the core', async () => {
    const { stdout } = await docker.daemon.run('--namespace', 'moby', 'content', 'ls', '--format', 'json')
    assert.ok(!stdout.includes(busybox.layers[0]?.digest ?? 'none'), stdout)
  })
  await verb('an image of gctr is an image of docker', async () => {
    const name = `${registry.host}/library/busybox:latest`
    const { code, stderr } = await docker.daemon.run('--namespace', 'moby', 'images', 'pull', name)
    assert.equal(code, 0, stderr)
    assert.equal(await ok('image', 'inspect', '--format', '{{.Id}}', name), id)
    await ok('rmi', name)
  })
  await verb('search', async () => assert.match(await ok('search', 'busy'), /busybox/))
  await verb('image prune --all', async () => {
    await ok('pull', '-q', 'busybox')
    assert.match(await ok('image', 'prune', '--all', '--force'), /untagged: busybox:latest/)
    assert.equal(await ok('images', '-q'), '')
  })
  await verb('login, then pull with credentials', async () => {
    const user = { name: 'me', password: 'secret' }
    await using guarded = await startRegistry({ user })
    const name = `${guarded.host}/mine:1`
    const login = (password: string) =>
      docker.run(['login', '--username', user.name, '--password-stdin', guarded.host], { stdin: password })
    assert.match((await login('wrong')).stderr, /401 Unauthorized|unauthorized/)
    const { code, stdout, stderr } = await login(user.password)
    assert.equal(code, 0, stderr)
    assert.match(stdout, /Login Succeeded/)
    await ok('pull', '-q', 'busybox')
    await ok('tag', 'busybox', name)
    await ok('push', name)
    await ok('rmi', name)
    await ok('pull', '-q', name)
    await ok('logout', guarded.host)
    await ok('rmi', name)
    assert.match(await failing('pull', name), /pull access denied|unauthorized|no basic auth/)
  })
})

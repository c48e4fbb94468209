/** --mount in all its types and options: the docker command, and the API where the command has no flag. */
import assert from 'node:assert/strict'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { mount, unmount } from '#api/sys/sys.ts'
import { until } from './conditions.ts'
import { Docker, dockerCommand } from './docker.ts'

const skip = dockerCommand === undefined ? 'no docker command (apt-get install docker.io)' : false
const image = 'busybox:test'

interface Outcome {
  code: number
  output: string
}

/** By the API: a command of the distribution may be too old to know the option. */
async function runWith(docker: Docker, mounts: object[], ...command: string[]): Promise<Outcome> {
  const body = { Image: image, Cmd: command, HostConfig: { Mounts: mounts } }
  const created = await docker.request('POST', '/containers/create', body)
  if (created.status !== 201) return { code: created.status, output: JSON.parse(created.body).message }
  const { Id } = JSON.parse(created.body)
  try {
    const started = await docker.request('POST', `/containers/${Id}/start`)
    if (started.status !== 204) return { code: started.status, output: JSON.parse(started.body).message }
    const code = Number(await docker.ok('wait', Id))
    const { stdout, stderr } = await docker.run(['logs', Id])
    return { code, output: `${stdout}${stderr}`.trim() }
  } finally {
    await docker.ok('rm', '--force', Id)
  }
}

/** Lines of /proc/self/mounts. */
async function mountsBelow(folder: string): Promise<string> {
  const lines = (await readFile('/proc/self/mounts', 'utf8')).split('\n')
  return lines.filter(line => line.includes(` ${folder}/`)).join('\n')
}

test('mounts', { skip }, async t => {
  await using docker = await Docker.start()
  await docker.importBusybox(image)
  const ok = docker.ok.bind(docker)

  await t.test('an image is there to be read, and goes with the container', async () => {
    const whole = { Type: 'image', Source: image, Target: '/image' }
    assert.deepEqual(await runWith(docker, [whole], 'cat', '/image/etc/group'), {
      code: 0,
      output: 'root:x:0:\nnogroup:x:65534:',
    })
    const written = await runWith(docker, [whole], 'touch', '/image/new')
    assert.match(written.output, /Read-only file system/)
    const part = { ...whole, ImageOptions: { Subpath: 'etc' } }
    assert.equal((await runWith(docker, [part], 'ls', '/image')).output, 'group\npasswd')
    assert.match((await runWith(docker, [{ ...whole, Source: 'nosuch:1' }], 'true')).output, /No such image: nosuch:1/)
    await until(async () => !/\/placed\/[0-9a-f]{64}\//.test(await mountsBelow(docker.folder)))
  })

  await t.test('a restarted container has its image again', async () => {
    const body = {
      ...{ Image: image, Cmd: ['cat', '/image/group'] },
      HostConfig: {
        Mounts: [{ Type: 'image', Source: image, Target: '/image', ImageOptions: { Subpath: '/etc'.slice(1) } }],
      },
    }
    const { Id } = JSON.parse((await docker.request('POST', '/containers/create', body)).body)
    for (const _ of [1, 2]) {
      await docker.request('POST', `/containers/${Id}/start`)
      assert.equal(await ok('wait', Id), '0')
    }
    await ok('rm', Id)
  })

  await t.test('a folder inside a volume, and links that lead out of it', async () => {
    await ok('volume', 'create', 'v1')
    const data = await ok('volume', 'inspect', '-f', '{{.Mountpoint}}', 'v1')
    await mkdir(join(data, 'a/b'), { recursive: true })
    await writeFile(join(data, 'a/b/file'), 'inside\n')
    await symlink('/', join(data, 'out'))
    await symlink('../../../../../etc', join(data, 'up'))
    const at = (Subpath: string) => [{ Type: 'volume', Source: 'v1', Target: '/data', VolumeOptions: { Subpath } }]
    assert.equal((await runWith(docker, at('a/b'), 'cat', '/data/file')).output, 'inside')
    assert.equal((await runWith(docker, at('a/b/file'), 'cat', '/data')).output, 'inside')
    // The root of the link is the volume's.
    assert.equal((await runWith(docker, at('out'), 'ls', '/data')).output, 'a\nout\nup')
    const up = await runWith(docker, at('up'), 'true')
    assert.match(up.output, /no such file or directory/)
    assert.equal((await runWith(docker, at('nosuch'), 'true')).code, 400)
    assert.match((await runWith(docker, at('../x'), 'true')).output, /subpath must be a relative path/)
    await ok('volume', 'rm', 'v1')
  })

  await t.test('read only goes down the tree, unless told not to', async () => {
    const source = join(docker.folder, 'tree')
    await mkdir(join(source, 'inner'), { recursive: true })
    await mount([{ type: 'tmpfs', source: 'tmpfs', target: '', options: [] }], join(source, 'inner'))
    try {
      const at = (BindOptions: object) => [
        { Type: 'bind', Source: source, Target: '/data', ReadOnly: true, BindOptions },
      ]
      const touch = ['touch', '/data/inner/x']
      assert.match((await runWith(docker, at({}), ...touch)).output, /Read-only file system/)
      assert.match((await runWith(docker, at({ ReadOnlyForceRecursive: true }), ...touch)).output, /Read-only/)
      assert.equal((await runWith(docker, at({ ReadOnlyNonRecursive: true }), ...touch)).code, 0)
      assert.match((await runWith(docker, at({ NonRecursive: true }), 'ls', '/data/inner')).output, /^$/)
      const wrong = [{ Type: 'bind', Source: source, Target: '/data', BindOptions: { ReadOnlyForceRecursive: true } }]
      assert.equal((await runWith(docker, wrong, 'true')).code, 400)
      const odd = [{ Type: 'bind', Source: source, Target: '/data', BindOptions: { Propagation: 'sideways' } }]
      assert.match((await runWith(docker, odd, 'true')).output, /invalid propagation mode: sideways/)
    } finally {
      await unmount(join(source, 'inner'))
    }
  })
})

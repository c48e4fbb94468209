/** `docker save` and `docker load` whose client or archive breaks off: told, cleaned up, and no harm to the next. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { dockerArchiveTar, makeImage } from '../fixtures/make-image.ts'
import { until } from './conditions.ts'
import { Docker, dockerCommand } from './docker.ts'

const skip = dockerCommand === undefined ? 'no docker command (apt-get install docker.io)' : false

test('archives that break off', { skip }, async t => {
  await using docker = await Docker.start()
  const layers = [[{ path: 'data', content: randomBytes(20 * 1024 * 1024) }]]
  const image = makeImage({ layers, compression: 'none', flavor: 'docker' })
  const archive = join(docker.folder, 'archive.tar')
  const bytes = dockerArchiveTar([{ image, tags: ['test:1'] }])
  await writeFile(archive, bytes)

  /** No image, lease or ingest, and no socket of a transfer. */
  async function nothingIsLeft(): Promise<void> {
    const ctr = async (...args: string[]) => (await docker.daemon.run('-n', 'moby', ...args)).stdout.trim()
    await until(async () => (await ctr('leases', 'ls', '-q')) === '')
    assert.equal(await docker.ok('image', 'ls', '--all', '--quiet'), '')
    const found = await readdir(docker.daemon.state, { recursive: true })
    assert.deepEqual(
      found.filter(name => /\/(save|load)-[0-9a-f]{8}$/.test(name)),
      [],
    )
  }

  await t.test('a load whose client goes away leaves nothing', async () => {
    const load = request({ socketPath: docker.socket, method: 'POST', path: '/images/load' })
    load.on('error', () => {})
    load.write(bytes.subarray(0, 10_000_000))
    await until(async () => (await readdir(join(docker.daemon.root, 'content/ingest'))).length > 0)
    load.destroy()
    await nothingIsLeft()
  })

  await t.test('a load of half an archive, and of none, says so, however much is behind', async () => {
    const half = join(docker.folder, 'half.tar')
    await writeFile(half, bytes.subarray(0, bytes.length / 2))
    assert.match(
      (await docker.run(['load', '--input', half])).stderr,
      /the archive is damaged \(Unexpected end of data/,
    )
    await writeFile(half, randomBytes(10_000_000))
    assert.match((await docker.run(['load', '--input', half])).stderr, /the archive is no tar/)
    await nothingIsLeft()
  })

  await t.test('a save whose client goes away does not hinder the next', async () => {
    await docker.ok('load', '--input', archive)
    const [file = '', ...args] = docker.argv('save', 'test:1')
    const save = spawn(file, args, { stdio: ['ignore', 'pipe', 'ignore'] })
    await once(save.stdout, 'data')
    save.stdout.destroy()
    await once(save, 'exit')
    const saved = join(docker.folder, 'saved.tar')
    await docker.ok('save', '--output', saved, 'test:1')
    const layer = image.layers[0]?.bytes ?? assert.fail()
    assert.ok(
      (await readFile(saved)).includes(layer),
      `the layer ${createHash('sha256').update(layer).digest('hex')} is whole`,
    )
    await docker.ok('image', 'rm', 'test:1')
    await docker.ok('load', '--input', saved)
    await docker.ok('image', 'rm', 'test:1')
    await nothingIsLeft()
  })
})

/** A disk that is full while an image comes: the client is told where and why, nothing half is seen, and freed space is enough to go on. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { lackingSmallDisk, SmallDisk } from '../filesystems/small-disk.ts'
import { dockerArchiveTar, makeImage } from '../fixtures/make-image.ts'
import { putImage } from '../registry/put-image.ts'
import { startRegistry } from '../registry/registry.ts'
import { until } from './conditions.ts'
import { Docker, dockerCommand } from './docker.ts'

const skip = dockerCommand === undefined ? 'no docker command (apt-get install docker.io)' : await lackingSmallDisk()
const MiB = 1024 * 1024
const diskMiB = 96
/** What records and logs may have grown by meanwhile. */
const slackBytes = 8 * MiB

/** Does not compress: on the disk it takes as much as is said, twice when it is unpacked. */
const imageOf = (mebibytes: number) =>
  makeImage({
    layers: [[{ path: 'data', content: randomBytes(mebibytes * MiB) }]],
    compression: 'none',
    flavor: 'docker',
  })

test('a disk that is full', { skip }, async t => {
  await using registry = await startRegistry()
  await using disk = await SmallDisk.make(diskMiB)
  const folder = join(disk.path, 'd')
  await mkdir(folder)
  const config = `[plugins.gateways.docker]\ninsecure_registries = ["${registry.host}"]\n`
  await using docker = await Docker.start({ config, folder })
  await docker.importBusybox('busybox:test')
  await docker.ok('run', '--rm', 'busybox:test', 'true')
  const archive = join(tmpdir(), `gt-archive-${process.pid}.tar`)
  t.after(() => rm(archive, { force: true }))

  /** Fails with what a full disk is; then nothing of it is there, and the space is. */
  async function failsFull(names: RegExp, ...args: string[]): Promise<void> {
    const before = await disk.freeBytes()
    const { code, stdout, stderr } = await docker.run(args)
    const said = stdout + stderr
    assert.notEqual(code, 0, said)
    assert.match(said, /no space left on device/i)
    assert.match(said, names)
    assert.doesNotMatch(await docker.ok('image', 'ls', '--all', '--format', '{{.Repository}}'), /big/)
    await until(async () => (await disk.freeBytes()) > before - slackBytes)
    assert.equal(await docker.ok('run', '--rm', 'busybox:test', 'echo', 'still'), 'still')
  }

  const load = async (mebibytes: number, tag: string) => {
    await writeFile(archive, dockerArchiveTar([{ image: imageOf(mebibytes), tags: [tag] }]))
    return ['load', '--quiet', '--input', archive]
  }

  await t.test('load: the layer itself does not fit', async () => {
    await failsFull(
      /archive: [0-9a-f]{64}\/layer\.tar.*disk of \/\S*\/content\/\S* is full: free some/,
      ...(await load(diskMiB, 'big:1')),
    )
  })
  await t.test('load: there is no room to unpack it', async () => {
    await failsFull(/layer sha256:[0-9a-f]{64}.*disk of \/\S* is full: free some/, ...(await load(50, 'big:1')))
  })
  await t.test('pull', async () => {
    await putImage(registry.host, 'big', '1', imageOf(diskMiB))
    await failsFull(
      /layer sha256:[0-9a-f]{64}.*disk of \/\S*\/content\/\S* is full: free some/,
      'pull',
      `${registry.host}/big:1`,
    )
    await putImage(registry.host, 'big', '2', imageOf(50))
    await failsFull(/layer sha256:[0-9a-f]{64}.*disk of \/\S* is full: free some/, 'pull', `${registry.host}/big:2`)
  })
  await t.test('commit', async () => {
    const write = 'head -c 50000000 /dev/urandom >/data'
    await docker.ok('run', '--name', 'wrote', 'busybox:test', 'sh', '-c', write)
    await failsFull(/disk of \/\S* is full: free some/, 'commit', 'wrote', 'big:3')
    await docker.ok('rm', 'wrote')
  })
  await t.test('what fits comes in', async () => {
    await docker.ok(...(await load(20, 'fits:1')))
    assert.match(await docker.ok('image', 'ls', '--format', '{{.Repository}}:{{.Tag}}'), /^fits:1$/m)
  })
})

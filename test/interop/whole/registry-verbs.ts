/** `ctr images pull` and `push`, `ctr content fetch…` and `push-object`, from one registry for both sides. */
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeCertificate } from '../../registry/certificate.ts'
import { putImage } from '../../registry/put-image.ts'
import { startRegistry } from '../../registry/registry.ts'
import { testImage } from '../load-image.ts'
import { imageName, twoPlatforms } from './image-verbs.ts'
import type { PairVerb } from './pair.ts'
import type { Side } from './side.ts'

export async function registryVerbs(verb: PairVerb, folder: string): Promise<void> {
  await using registry = await startRegistry()
  await putImage(registry.host, 'whole/multi', '1', twoPlatforms())
  await putImage(registry.host, 'whole/busybox', '1', testImage())
  await pullVerbs(verb, registry.host)
  await pushVerbs(verb, registry.host)
  await fetchVerbs(verb, registry.host)
  await accessVerbs(verb, folder)
}

const plain = '--plain-http'

async function seen(side: Side, ...names: string[]): Promise<void> {
  await side.collect()
  await side.ok('images', 'ls', ...names.map(name => `name==${name}`))
  await side.ok('content', 'ls')
  await side.ok('snapshots', 'ls')
  await side.ok('images', 'rm', '--sync', ...names)
}

async function pullVerbs(verb: PairVerb, host: string): Promise<void> {
  const multi = `${host}/whole/multi:1`
  const pulls = (ref: string, ...flags: string[]) =>
    verb(`images pull ${flags.join(' ')}`.trim(), async side => {
      await side.unseen('images', 'pull', plain, ...flags, ref)
      await seen(side, ref)
    })
  await verb('images rm --sync', async side => {
    await side.ok('images', 'rm', '--sync', imageName)
    assert.equal(await side.ok('content', 'ls', '-q'), '')
  })
  await pulls(`${host}/whole/busybox:1`)
  await pulls(multi)
  await pulls(multi, '--platform', 'linux/arm64')
  await pulls(multi, '--platform', 'linux/arm64', '--platform', 'linux/amd64')
  await pulls(multi, '--all-platforms')
  await pulls(multi, '--all-metadata')
  await pulls(multi, '--label', 'a=b', '--max-concurrent-downloads', '1')
  await pulls(`${host}/whole/busybox@${testImage().target.digest}`)
  await verb('images pull --print-chainid', async side => {
    const output = await side.unseen('images', 'pull', plain, '--print-chainid', multi)
    side.note(/image chain ID: \S+/.exec(output)?.[0] ?? output)
    await seen(side, multi)
  })
  await verb('images pull of what is not there', async side => {
    assert.match(await side.refused('images', 'pull', plain, `${host}/whole/none:1`), /not found/)
    assert.match(
      await side.refused('images', 'pull', plain, '--platform', 'linux/s390x', multi),
      /no match for platform/,
    )
    await side.refused('images', 'pull', plain, 'not a reference')
    await side.refused('images', 'pull', plain, '--snapshotter', 'nope', multi)
    await side.collect()
    await side.ok('content', 'ls')
  })
}

async function pushVerbs(verb: PairVerb, host: string): Promise<void> {
  const multi = `${host}/whole/multi:1`
  const tags = async (repository: string) => (await fetch(`http://${host}/v2/${repository}/tags/list`)).text()
  /** Both sides push to the same registry: each into a repository of its own. */
  const repository = (side: Side, name: string) => `${side.name}/${name}`
  const pushes = (name: string, ...flags: string[]) =>
    verb(`images push ${flags.join(' ')}`.trim(), async side => {
      await side.unseen('images', 'pull', plain, '--all-platforms', multi)
      await side.unseen('images', 'push', plain, ...flags, `${host}/${repository(side, name)}:1`, multi)
      assert.match(await tags(repository(side, name)), /"1"/)
      const accept = { accept: testImage().target.mediaType.replace('manifest', 'index') }
      const answer = await fetch(`http://${host}/v2/${repository(side, name)}/manifests/1`, { headers: accept })
      side.note(`${answer.status} ${await answer.text()}`)
    })
  await pushes('all')
  await pushes('one', '--platform', 'linux/arm64')
  await pushes('limited', '--max-concurrent-uploaded-layers', '1', '--allow-non-distributable-blobs')
  await verb('images push of none', async side => {
    await side.refused('images', 'push', plain, `${host}/x/y:1`, 'x/none:1')
  })
}

async function fetchVerbs(verb: PairVerb, host: string): Promise<void> {
  const multi = `${host}/whole/multi:1`
  const fetches = (...flags: string[]) =>
    verb(`content fetch ${flags.join(' ')}`.trim(), async side => {
      await side.unseen('images', 'rm', '--sync', multi)
      await side.unseen('content', 'fetch', plain, ...flags, multi)
      await side.collect()
      await side.ok('content', 'ls')
    })
  await fetches()
  await fetches('--platform', 'linux/arm64')
  await fetches('--all-platforms')
  await fetches('--all-metadata')
  await fetches('--metadata-only')
  await fetches('--label', 'a=b')
  await verb('content fetch-object', async side => {
    const output = await side.ok('content', 'fetch-object', plain, `${host}/whole/busybox:1`)
    assert.match(output, /"schemaVersion":2/)
    await side.fails('content', 'fetch-object', plain, `${host}/whole/none:1`)
  })
  await verb(
    'content push-object',
    async side => {
      const layer = testImage().blobs[1]
      assert.ok(layer)
      await side.unseen('images', 'pull', plain, `${host}/whole/busybox:1`)
      await side.ok('content', 'push-object', plain, `${host}/${side.name}/object:1`, layer.digest, layer.mediaType)
      const url = `http://${host}/v2/${side.name}/object/blobs/${layer.digest}`
      assert.equal((await fetch(url, { method: 'HEAD' })).status, 200)
    },
    { differs: 'the two push to repositories of their own' },
  )
  await verb('images rm of what was fetched', async side => {
    await side.ok('images', 'rm', '--sync', multi, `${host}/whole/busybox:1`)
    await side.ok('content', 'ls')
  })
}

async function accessVerbs(verb: PairVerb, folder: string): Promise<void> {
  await using closed = await startRegistry({ user: { name: 'user', password: 'secret' } })
  const closedName = `${closed.host}/closed/busybox:1`
  await putImage(
    closed.host,
    'closed/busybox',
    '1',
    testImage(),
    `Basic ${Buffer.from('user:secret').toString('base64')}`,
  )
  await verb('images pull --user', async side => {
    await side.unseen('images', 'pull', plain, '--user', 'user:secret', closedName)
    await seen(side, closedName)
    await side.refused('images', 'pull', plain, '--user', 'user:wrong', closedName)
    await side.refused('images', 'pull', plain, closedName)
  })
  const tls = makeCertificate(folder)
  await using secure = await startRegistry({ tls })
  const name = `${secure.host}/secure/busybox:1`
  // ctr takes a registry on loopback for one without TLS, unless its hosts.toml says otherwise.
  const onlyHttps = async (side: Side) => {
    const hosts = join(side.folder, 'only-https')
    await mkdir(join(hosts, secure.host), { recursive: true })
    await writeFile(join(hosts, secure.host, 'hosts.toml'), `[host."https://${secure.host}"]\n`)
    return ['--hosts-dir', hosts]
  }
  await verb(
    'images push, pull --skip-verify',
    async side => {
      const https = await onlyHttps(side)
      await side.unseen('images', 'import', join(side.folder, 'busybox.tar'))
      await side.unseen('images', 'push', ...https, '--skip-verify', name, imageName)
      await side.unseen('images', 'rm', '--sync', imageName)
      await side.unseen('images', 'pull', ...https, '--skip-verify', name)
      await seen(side, name)
      await side.refused('images', 'pull', ...https, name)
    },
    { alone: true },
  )
  await verb('images pull --tlscacert', async side => {
    await side.unseen('images', 'pull', ...(await onlyHttps(side)), '--tlscacert', tls.certificate, name)
    await seen(side, name)
  })
  await verb('images pull --hosts-dir', async side => {
    const hosts = join(side.folder, 'hosts')
    await mkdir(join(hosts, secure.host), { recursive: true })
    await writeFile(
      join(hosts, secure.host, 'hosts.toml'),
      `[host."https://${secure.host}"]\n  ca = "${tls.certificate}"\n`,
    )
    await side.unseen('images', 'pull', '--hosts-dir', hosts, name)
    await seen(side, name)
  })
}

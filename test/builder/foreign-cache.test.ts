/** Caches that go from builder to builder: by a registry, a folder, an image. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { startRegistry, type TestRegistry } from '../registry/registry.ts'
import { type Building, base, building, skip } from './building.ts'

const [here, elsewhere] = [building(), building()]
let registry: TestRegistry
let folder: string

before(async () => {
  if (skip) return
  registry = await startRegistry()
  folder = await mkdtemp(join(tmpdir(), 'gt-cache-'))
})
after(async () => {
  await registry?.[Symbol.asyncDispose]()
  if (folder) await rm(folder, { recursive: true })
})

const stages = [
  `FROM ${base} AS made`,
  'ARG V=1',
  'RUN echo "$V" > /made',
  `FROM ${base}`,
  'WORKDIR /w',
  'COPY --from=made /made /w/',
  'COPY f /w/',
  'RUN cat /w/* > /all',
]
const files = { f: 'content' }

/** Names of the steps that were done and not found. */
async function done(on: Building, options: object, lines = stages): Promise<string[]> {
  const { steps } = await on.build(lines, files, options)
  return steps.filter(({ missReason }) => missReason !== '').map(({ instruction }) => instruction)
}

test('a registry: all steps with mode=max, those of the result with mode=min', { skip }, async () => {
  const location = (tag: string) => ({ type: 'registry', attributes: { ref: `${registry.host}/cache:${tag}` } })
  const written = (tag: string, mode: string) => ({
    ...location(tag),
    attributes: { ...location(tag).attributes, mode },
  })
  await here.build(stages, files, { cacheTo: [written('max', 'max'), written('min', 'min')] })
  assert.deepEqual(await done(elsewhere, { cacheFrom: [location('min')] }), ['RUN echo "$V" > /made'])
  await elsewhere.daemon.run('builder', 'prune')
  assert.deepEqual(await done(elsewhere, { cacheFrom: [location('max')], names: ['docker.io/library/a:1'] }), [])
  assert.equal(await elsewhere.output('docker.io/library/a:1', 'cat', '/all'), 'content1\n')
  // The cache is nobody's image.
  assert.doesNotMatch((await elsewhere.daemon.run('images', 'ls')).stdout, /cache/)
  const manifest = (await (
    await fetch(`http://${registry.host}/v2/cache/manifests/max`, {
      headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
    })
  ).json()) as { config: { mediaType: string } }
  assert.equal(manifest.config.mediaType, 'application/vnd.buildkit.cacheconfig.v0')
})

test('a folder; one that is damaged is told of and not used', { skip }, async () => {
  await elsewhere.daemon.run('builder', 'prune')
  const [to, from] = [
    { type: 'local', attributes: { dest: folder, mode: 'max' } },
    { type: 'local', attributes: { src: folder } },
  ]
  await here.build(stages, files, { cacheTo: [to] })
  assert.deepEqual(await done(elsewhere, { cacheFrom: [from] }), [])
  await elsewhere.daemon.run('builder', 'prune')
  assert.deepEqual(await done(elsewhere, { cacheFrom: [from] }, stages.with(2, 'RUN echo 2 > /made')), [
    'RUN echo 2 > /made',
    'COPY --from=made /made /w/',
    'COPY f /w/',
    'RUN cat /w/* > /all',
  ])
  // A layer that nobody has but the folder.
  const longer = [...stages, 'RUN echo own > /own']
  await here.build(longer, files, { cacheTo: [to] })
  const index = JSON.parse(await readFile(join(folder, 'index.json'), 'utf8'))
  const blob = (digest: string) => join(folder, 'blobs/sha256', digest.slice('sha256:'.length))
  const manifest = JSON.parse(await readFile(blob(index.manifests[0].digest), 'utf8'))
  const top = manifest.layers.at(-1)
  await truncate(blob(top.digest), 10)
  const { output } = await elsewhere.build(longer, files, { cacheFrom: [from] })
  assert.match(output, /cache ".*" is not used: .*has the digest/)
  const missing = { type: 'local', attributes: { src: `${folder}/none` } }
  const { steps } = await elsewhere.build(stages, files, { cacheFrom: [missing] })
  assert.match(steps.find(({ name }) => name.startsWith('importing cache'))?.error ?? '', /not used: .*none/)
})

test('an image: its inline records, and its history alone', { skip }, async () => {
  const name = `${registry.host}/app:1`
  const pushed = async (options: object) => {
    await here.build(stages, files, { ...options, names: [name] })
    const { code, stderr } = await here.daemon.run('images', 'push', '--plain-http', name)
    assert.equal(code, 0, stderr)
  }
  const from = [{ type: 'registry', attributes: { ref: name } }]
  await pushed({ args: { BUILDKIT_INLINE_CACHE: '1' } })
  await elsewhere.daemon.run('builder', 'prune')
  assert.deepEqual(await done(elsewhere, { cacheFrom: from }), ['RUN echo "$V" > /made'])
  await pushed({})
  await elsewhere.daemon.run('builder', 'prune')
  assert.deepEqual(await done(elsewhere, { cacheFrom: from, args: { V: '1' } }), ['RUN echo "$V" > /made'])
  // As Docker's cachefrom: an image that is here.
  await here.daemon.run('builder', 'prune')
  const image = [{ type: 'image', attributes: { ref: name } }]
  assert.deepEqual(await done(here, { cacheFrom: image, target: '' }), ['RUN echo "$V" > /made'])
})

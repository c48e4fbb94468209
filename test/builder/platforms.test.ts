/** Images for other platforms than this machine's, and for several. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { requireRunnable } from '../../plugins/builders/dockerfile/core/emulation.ts'
import { makeImage, makeIndex } from '../fixtures/make-image.ts'
import { putImage } from '../registry/put-image.ts'
import { startRegistry, type TestRegistry } from '../registry/registry.ts'
import { base, building, skip } from './building.ts'

const own = building()
const foreign = { os: 'linux', architecture: 's390x', variant: '' }
const host = { os: 'linux', architecture: process.arch === 'x64' ? 'amd64' : process.arch, variant: '' }
const both = `linux/s390x,linux/${host.architecture}`
let registry: TestRegistry

before(async () => {
  if (skip) return
  registry = await startRegistry()
  const images = [host, foreign].map(platform => makeImage({ layers: [[{ path: platform.architecture }]], platform }))
  await putImage(registry.host, 'multi', '1', makeIndex(images))
})
after(async () => {
  await registry?.[Symbol.asyncDispose]()
})

interface Fetched {
  readonly manifests: { digest: string }[]
  readonly config: { digest: string; Env: string[] }
  readonly architecture: string
  readonly rootfs: { diff_ids: string[] }
}

/** A document of the image that was pushed. */
async function fetched(path: string): Promise<Fetched> {
  const accept = ['index', 'manifest'].map(kind => `application/vnd.oci.image.${kind}.v1+json`).join()
  const response = await fetch(`http://${registry.host}/v2/both/${path}`, { headers: { accept } })
  return (await response.json()) as Fetched
}

async function configOf({ digest }: { digest: string }): Promise<Fetched> {
  return fetched(`blobs/${(await fetched(`manifests/${digest}`)).config.digest}`)
}

test('COPY for two platforms: an index, with each one’s base and arguments', { skip }, async () => {
  const name = `${registry.host}/both:1`
  const lines = [
    `FROM --platform=$BUILDPLATFORM ${base} AS native`,
    'RUN uname -m > /m',
    `FROM ${registry.host}/multi:1`,
    'ARG TARGETPLATFORM TARGETARCH BUILDPLATFORM',
    'COPY --from=native /m /m',
    'COPY f /of-$TARGETARCH',
    'ENV FOR=$TARGETPLATFORM ON=$BUILDPLATFORM',
  ]
  const { steps, result } = await own.build(lines, { f: '' }, { names: [name], platform: both })
  assert.match(result.indexDigest, /^sha256:/)
  const natively = steps.filter(({ instruction }) => instruction.startsWith('RUN uname'))
  assert.deepEqual(
    natively.map(({ cached }) => cached),
    [false, true],
  )
  assert.match(natively[0]?.name ?? '', /^\[linux\/s390x native 2\/7\]/)
  const pushed = await own.daemon.run('images', 'push', '--plain-http', name)
  assert.equal(pushed.code, 0, pushed.stderr)
  const configs = await Promise.all((await fetched('manifests/1')).manifests.map(configOf))
  assert.deepEqual(
    configs.map(({ architecture }) => architecture),
    ['s390x', host.architecture],
  )
  for (const { architecture, config, rootfs } of configs) {
    assert.ok(config.Env.includes(`FOR=linux/${architecture}`) && config.Env.includes(`ON=linux/${host.architecture}`))
    assert.equal(rootfs.diff_ids.length, 3)
  }
  assert.notEqual(configs[0]?.rootfs.diff_ids[0], configs[1]?.rootfs.diff_ids[0])
})

test('RUN for another platform needs an emulator, and says so', { skip }, async t => {
  const runs = await requireRunnable(foreign).then(
    () => true,
    () => false,
  )
  if (runs) return t.skip('this machine has an emulator for s390x')
  const lines = [`FROM ${registry.host}/multi:1`, 'RUN ["/true"]']
  await assert.rejects(own.build(lines, {}, { platform: 'linux/s390x' }), {
    code: 'FAILED_PRECONDITION',
    message: /RUN for linux\/s390x on this linux\/\w+ machine.*binfmt_misc/,
  })
  await assert.rejects(own.build(lines, {}, { platform: 'linux/riscv64' }), { code: 'NOT_FOUND' })
  await assert.rejects(own.build(lines, {}, { platform: 'a/b/c/d' }), { code: 'INVALID_ARGUMENT' })
})

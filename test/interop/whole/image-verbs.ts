/** `ctr images`, every command and flag of 1.6. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand } from '../../daemon/run-command.ts'
import { busyboxLayer, dockerArchiveTar, layoutTar, makeImage, makeIndex } from '../../fixtures/make-image.ts'
import { testImage } from '../load-image.ts'
import type { PairVerb } from './pair.ts'
import type { Side } from './side.ts'

export const imageName = 'test.example/busybox:1'
const platforms = ['amd64', 'arm64'].map(architecture => ({ os: 'linux', architecture, variant: '' }))

/** Two platforms, one small layer each. */
export function twoPlatforms() {
  const of = (platform: (typeof platforms)[number]) =>
    makeImage({ layers: [[{ path: 'arch', content: platform.architecture }]], platform })
  return makeIndex(platforms.map(of))
}

function dockerImage() {
  return makeImage({ layers: [busyboxLayer()], flavor: 'docker', compression: 'none', config: { Cmd: ['sh'] } })
}

async function file(side: Side, name: string, bytes: Buffer): Promise<string> {
  const path = join(side.folder, name)
  await writeFile(path, bytes)
  return path
}

export async function importVerbs(verb: PairVerb): Promise<void> {
  const multi = layoutTar([{ image: twoPlatforms(), name: 'test.example/multi:1' }])
  const docker = dockerArchiveTar([{ image: dockerImage(), tags: ['test.example/docker:1'] }])
  const clean = async (side: Side, ...names: string[]) => {
    await side.ok('images', 'rm', '--sync', ...names)
    await side.ok('content', 'ls', '-q')
    await side.ok('snapshots', 'ls')
  }
  await verb('images import', async side => {
    const path = await file(side, 'busybox.tar', layoutTar([{ image: testImage(), name: imageName }]))
    assert.match(await side.ok('images', 'import', path), /unpacking test\.example\/busybox:1/)
    await side.ok('images', 'ls')
    await side.ok('images', 'check')
    await side.ok('content', 'ls')
    await clean(side, imageName)
  })
  await verb('images import --no-unpack', async side => {
    await side.ok('images', 'import', '--no-unpack', join(side.folder, 'busybox.tar'))
    assert.match(await side.ok('images', 'check'), /complete \(3\/3\).*false/)
    await clean(side, imageName)
  })
  await verb('images import: one platform of two', async side => {
    const path = await file(side, 'multi.tar', multi)
    await side.ok('images', 'import', path)
    await side.collect()
    await side.ok('images', 'ls')
    await side.ok('content', 'ls', '-q')
    await clean(side, 'test.example/multi:1')
  })
  await verb('images import --all-platforms --no-unpack', async side => {
    await side.ok('images', 'import', '--all-platforms', '--no-unpack', join(side.folder, 'multi.tar'))
    await side.collect()
    assert.match(await side.ok('images', 'ls'), /linux\/amd64,linux\/arm64/)
    await side.ok('content', 'ls', '-q')
    await clean(side, 'test.example/multi:1')
  })
  await verb('images import --all-platforms', async side => {
    await side.ok('images', 'import', '--all-platforms', join(side.folder, 'multi.tar'))
    await side.ok('snapshots', 'ls')
    await clean(side, 'test.example/multi:1')
  })
  await verb('images import --platform', async side => {
    await side.ok('images', 'import', '--platform', 'linux/arm64', join(side.folder, 'multi.tar'))
    await side.collect()
    await side.ok('content', 'ls')
    await side.ok('snapshots', 'ls')
    await clean(side, 'test.example/multi:1')
  })
  await verb('images import --platform that is not there', async side => {
    await side.fails('images', 'import', '--platform', 'linux/s390x', join(side.folder, 'multi.tar'))
    await side.collect()
    await side.ok('images', 'ls')
    await clean(side, 'test.example/multi:1')
  })
  await verb('images import --base-name --digests', async side => {
    const path = await file(side, 'anonymous.tar', layoutTar([{ image: testImage() }]))
    assert.match(await side.ok('images', 'import', '--base-name', 'x/foo', '--digests', path), /x\/foo@sha256:/)
    await side.ok('images', 'ls', '-q')
    await clean(side, `x/foo@${testImage().target.digest}`)
  })
  await verb('images import --base-name of other names', async side => {
    await side.ok('images', 'import', '--base-name', 'x/foo', join(side.folder, 'busybox.tar'))
    await side.ok('images', 'ls')
  })
  await verb('images import --digests --skip-digest-for-named', async side => {
    const skip = ['--digests', '--skip-digest-for-named', '--base-name', 'test.example/busybox']
    await side.ok('images', 'import', ...skip, join(side.folder, 'busybox.tar'))
    await side.ok('images', 'ls', '-q')
    await clean(side, imageName)
  })
  await verb('images import --index-name', async side => {
    await side.ok('images', 'import', '--index-name', 'x/index:1', join(side.folder, 'busybox.tar'))
    await side.ok('images', 'ls', '-q')
    await clean(side, imageName, 'x/index:1')
  })
  await verb('images import of a docker archive', async side => {
    const path = await file(side, 'docker.tar', docker)
    await side.ok('images', 'import', path)
    await side.collect()
    await side.ok('images', 'ls')
    await side.ok('content', 'ls')
    await clean(side, 'test.example/docker:1')
  })
  await verb('images import --compress-blobs', async side => {
    await side.ok('images', 'import', '--compress-blobs', join(side.folder, 'docker.tar'))
    assert.match(await side.ok('images', 'check'), /complete \(2\/2\).*true/)
    await clean(side, 'test.example/docker:1')
  })
  await verb('images import --snapshotter that is not there', async side => {
    assert.match(
      await side.fails('images', 'import', '--snapshotter', 'nope', join(side.folder, 'busybox.tar')),
      /snapshotter not loaded: nope|snapshotter nope was not found/,
    )
  })
  await verb('images import --label', async side => {
    await side.fails('images', 'import', '--label', 'a=b', join(side.folder, 'busybox.tar'))
  })
  await verb('images import of what is no archive', async side => {
    const path = await file(side, 'nothing.tar', Buffer.from('this is no archive'))
    await side.fails('images', 'import', path)
    await side.fails('images', 'import', join(side.folder, 'no-such.tar'))
  })
}

export async function storedImageVerbs(verb: PairVerb): Promise<void> {
  await verb('images ls -q, filters', async side => {
    await side.unseen('images', 'rm', '--sync', imageName).catch(() => {})
    await side.unseen('images', 'import', join(side.folder, 'busybox.tar'))
    await side.ok('images', 'ls', '-q', `name==${imageName}`)
    await side.ok('images', 'ls', '-q', 'name~=busy')
    await side.ok('images', 'ls', '-q', 'name~=nothing', `target.digest==${testImage().target.digest}`)
    await side.ok('images', 'ls', '-q', 'labels.none')
    await side.fails('images', 'ls', 'name==')
  })
  await verb('images check -q, filters', async side => {
    assert.equal(await side.ok('images', 'check', '-q'), `${imageName}\n`)
    await side.ok('images', 'check', 'name==other')
  })
  await verb('images check --snapshotter', async side => {
    await side.fails('images', 'check', '--snapshotter', 'nope')
  })
  await verb('images tag', async side => {
    await side.ok('images', 'tag', imageName, 'x/two:1', 'x/three:1')
    assert.match(await side.fails('images', 'tag', imageName, 'x/two:1'), /already exists/)
    await side.ok('images', 'tag', '--force', imageName, 'x/two:1')
    await side.fails('images', 'tag', 'x/none:1', 'x/four:1')
    await side.ok('images', 'ls', '-q')
  })
  await verb('images label --replace-all', async side => {
    await side.ok('images', 'label', 'x/two:1', 'a=1', 'b=2')
    await side.ok('images', 'label', 'x/two:1', 'a=3', 'c=4')
    await side.ok('images', 'label', '--replace-all', 'x/two:1', 'd=5')
    assert.match(await side.ok('images', 'ls', 'name==x/two:1'), / d=5/)
    await side.fails('images', 'label', 'x/none:1', 'a=b')
  })
  await verb('images rm of many', async side => {
    await side.ok('images', 'rm', 'x/two:1', 'x/three:1')
    assert.match((await side.ctr.outcome(['images', 'rm', 'x/two:1'])).stderr, /image not found/)
    await side.ok('images', 'ls', '-q')
  })
  await verb('images convert --oci --uncompress', async side => {
    await side.unseen('images', 'import', join(side.folder, 'docker.tar'))
    await side.ok('images', 'convert', '--oci', 'test.example/docker:1', 'x/oci:1')
    assert.match(await side.ok('images', 'ls'), /x\/oci:1\s+application\/vnd\.oci\.image\.manifest\.v1\+json/)
    await side.ok('images', 'convert', '--uncompress', imageName, 'x/plain:1')
    await side.collect()
    await side.ok('content', 'ls', '-q')
    await side.ok('images', 'rm', '--sync', 'x/oci:1', 'x/plain:1', 'test.example/docker:1')
  })
  await verb('images convert --platform, --all-platforms', async side => {
    await side.unseen('images', 'import', '--all-platforms', '--no-unpack', join(side.folder, 'multi.tar'))
    await side.ok('images', 'convert', '--oci', '--platform', 'linux/arm64', 'test.example/multi:1', 'x/arm:1')
    await side.ok('images', 'convert', '--uncompress', '--all-platforms', 'test.example/multi:1', 'x/both:1')
    await side.ok('images', 'ls')
    await side.ok('images', 'rm', '--sync', 'x/arm:1', 'x/both:1')
  })
}

export async function exportVerbs(verb: PairVerb): Promise<void> {
  const names = async (path: string) => (await runCommand(['tar', '-tf', path])).stdout.split('\n').sort().join('\n')
  const exports = (what: string, ...flags: string[]) =>
    verb(`images export ${flags.join(' ')}`.trim(), async side => {
      const path = join(side.folder, 'exported.tar')
      await side.ok('images', 'export', ...flags, path, what)
      side.note(await names(path))
      side.note(`${(await stat(path)).size}`)
      side.note((await runCommand(['tar', '-xOf', path, 'index.json'])).stdout)
    })
  await exports(imageName)
  await exports(imageName, '--skip-manifest-json')
  await exports(imageName, '--skip-non-distributable')
  await exports('test.example/multi:1', '--platform', 'linux/arm64')
  await exports('test.example/multi:1', '--all-platforms')
  await verb('images export to standard output', async side => {
    const { stdout, code } = await side.ctr.outcome(['images', 'export', '-', imageName])
    assert.equal(code, 0)
    assert.match(stdout, /oci-layout/)
  })
  await verb('images export of two', async side => {
    const path = join(side.folder, 'two.tar')
    await side.ok('images', 'export', '--all-platforms', path, imageName, 'test.example/multi:1')
    side.note(await names(path))
  })
  await verb('images export of none', async side => {
    assert.match(await side.fails('images', 'export', join(side.folder, 'x.tar'), 'x/none:1'), /not found/)
  })
  await verb('images rm of two platforms', async side => {
    await side.ok('images', 'rm', '--sync', 'test.example/multi:1')
    await side.ok('content', 'ls', '-q')
  })
}

export async function mountVerbs(verb: PairVerb): Promise<void> {
  const place = (side: Side) => join(side.folder, 'image-mount')
  await verb('images mount, unmount --rm', async side => {
    await mkdir(place(side), { recursive: true })
    await side.ok('images', 'mount', imageName, place(side))
    assert.equal(await readFile(join(place(side), 'etc/motd'), 'utf8'), 'hi\n')
    await assert.rejects(writeFile(join(place(side), 'new'), ''), /EROFS/)
    await side.ok('snapshots', 'ls')
    await side.ok('images', 'unmount', '--rm', place(side))
    assert.equal(existsSync(join(place(side), 'etc')), false)
    await side.ok('snapshots', 'ls')
  })
  await verb('images mount --rw', async side => {
    await side.ok('images', 'mount', '--rw', imageName, place(side))
    await writeFile(join(place(side), 'new'), 'new')
    await side.ok('images', 'unmount', place(side))
    await side.ok('snapshots', 'ls')
    await side.ok('snapshots', 'rm', place(side))
  })
  await verb('images mount --platform', async side => {
    await side.ok('images', 'mount', '--platform', 'linux/amd64', imageName, place(side))
    await side.ok('images', 'unmount', '--rm', place(side))
  })
  await verb('images mount of none', async side => {
    await side.fails('images', 'mount', 'x/none:1', place(side))
  })
}

/** `gctr build --output`: the same build as an image, an archive, a layout, a folder, and in a registry. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, readdir, readFile, readlink, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Daemon } from '../daemon/daemon.ts'
import { startRegistry } from '../registry/registry.ts'

const skip = process.getuid?.() === 0 ? false : 'containers need root'
const base = 'test.example/busybox:1'
let daemon: Daemon
let folder: string

before(async () => {
  if (skip) return
  daemon = await Daemon.start()
  await daemon.importBusybox(base)
  folder = join(daemon.folder, 'context')
  await mkdir(folder)
  const lines = [
    `FROM ${base} AS made`,
    'RUN mkdir -p /out/dir && echo one > /out/dir/one && ln -s /out/dir/one /out/absolute',
    'RUN chown -R 5:6 /out && chmod 4750 /out/dir/one && mknod /out/null c 1 3',
    'FROM scratch',
    'COPY --from=made /out /',
    'CMD ["/one"]',
  ]
  await writeFile(join(folder, 'Dockerfile'), `${lines.join('\n')}\n`)
})
after(async () => {
  await daemon?.[Symbol.asyncDispose]()
})

async function build(...flags: string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon.run('build', '--network', 'none', ...flags, folder)
  assert.equal(code, 0, stderr)
  return stdout.trim()
}

const json = async (path: string) => JSON.parse(await readFile(path, 'utf8'))
const blob = (layout: string, digest: string) => join(layout, 'blobs', ...digest.split(':'))

test('local: the root as files of the caller, links as they are, no devices', { skip }, async () => {
  const out = join(daemon.folder, 'local')
  assert.equal(await build('--output', out), '')
  assert.deepEqual((await readdir(out)).toSorted(), ['absolute', 'dir'])
  assert.equal(await readlink(join(out, 'absolute')), '/out/dir/one')
  const one = await stat(join(out, 'dir/one'))
  assert.equal(one.mode & 0o7777, 0o4750)
  assert.deepEqual([one.uid, one.gid], [process.getuid?.(), process.getgid?.()])
  assert.doesNotMatch((await daemon.run('images', 'ls')).stdout, /dangling/)
})

test('tar: all of it, with owners; to a file and to standard output', { skip }, async () => {
  const file = join(daemon.folder, 'root.tar')
  await build('-o', `type=tar,dest=${file}`)
  const listed = execFileSync('tar', ['--numeric-owner', '-tvf', file]).toString()
  assert.match(listed, /^-rwsr-x--- 5\/6 .* dir\/one$/m)
  assert.match(listed, /^crw.* 1,3 .* null$/m)
  const [node = '', ...argv] = daemon.gctr('build', '--network', 'none', '--quiet', '-o', '-', folder)
  const piped = execFileSync(node, argv)
  assert.match(execFileSync('tar', ['-tf', '-'], { input: piped }).toString(), /^dir\/one$/m)
})

test('oci and docker: archives and a layout, in the media types of each, and no record left', { skip }, async () => {
  const layout = join(daemon.folder, 'layout')
  await build('-o', `type=oci,dest=${layout},tar=false`, '--annotation', 'index,manifest:who=me')
  const [index] = (await json(join(layout, 'index.json'))).manifests
  assert.equal(index.mediaType, 'application/vnd.oci.image.index.v1+json')
  const { manifests, annotations } = await json(blob(layout, index.digest))
  assert.deepEqual(annotations, { who: 'me' })
  const manifest = await json(blob(layout, manifests[0].digest))
  assert.deepEqual(manifest.annotations, { who: 'me' })
  assert.equal(manifest.mediaType, 'application/vnd.oci.image.manifest.v1+json')
  const file = join(daemon.folder, 'docker.tar')
  await build('--tag', 'as-docker:1', '-o', `type=docker,dest=${file}`)
  const read = (path: string) => JSON.parse(execFileSync('tar', ['-xOf', file, path]).toString())
  assert.deepEqual(read('manifest.json')[0].RepoTags, ['as-docker:1'])
  const [docker] = read('index.json').manifests
  assert.equal(docker.mediaType, 'application/vnd.docker.distribution.manifest.v2+json')
  const { config, layers } = read(`blobs/${docker.digest.replace(':', '/')}`)
  assert.equal(config.mediaType, 'application/vnd.docker.container.image.v1+json')
  assert.match(layers[0].mediaType, /^application\/vnd\.docker\.image\.rootfs\.diff\.tar\.gzip$/)
  assert.doesNotMatch((await daemon.run('images', 'ls')).stdout, /dangling/)
})

test('registry: pushed under its name', { skip }, async () => {
  await using registry = await startRegistry()
  const name = `${registry.host}/pushed:1`
  const id = await build('--push', '--tag', name)
  const answer = await fetch(`http://${registry.host}/v2/pushed/manifests/1`, {
    headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
  })
  assert.equal(((await answer.json()) as { config: { digest: string } }).config.digest, id)
})

test('with SOURCE_DATE_EPOCH two builds are one, in each form', { skip }, async () => {
  const sums = async (round: string) => {
    const path = (name: string) => join(daemon.folder, `${round}-${name}`)
    const epoch = ['--no-cache', '--build-arg', 'SOURCE_DATE_EPOCH=1700000000']
    const archives = ['tar', 'oci'].flatMap(type => ['-o', `type=${type},dest=${path(type)}`])
    const id = await build(...epoch, '-o', 'type=image', '-o', path('local'), ...archives)
    await build(...epoch, '-o', `type=docker,dest=${path('docker')}`)
    const times = (await stat(join(path('local'), 'dir/one'))).mtimeMs
    const files = ['tar', 'oci', 'docker'].map(path)
    return [
      id,
      times,
      ...execFileSync('sha256sum', files)
        .toString()
        .matchAll(/^[0-9a-f]{64}/gm),
    ].map(String)
  }
  const first = await sums('first')
  assert.equal(first[1], '1700000000000')
  // A second in which files would get another time.
  await new Promise(resolve => setTimeout(resolve, 1100))
  assert.deepEqual(await sums('second'), first)
})

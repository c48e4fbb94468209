// biome-ignore-all lint/suspicious/noTemplateCurlyInString: Dockerfiles have variables of that form
/** Edges of Docker's Dockerfile reference that a corpus of everyday files does not come to. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { base, building, skip } from './building.ts'

const own = building()
const { build, output } = own
const name = 'docker.io/library/reference:latest'

const refused = (lines: string[], error: object, files = {}) => assert.rejects(build(lines, files), error)

test('an ARG is known to the stages that stand on its own', { skip }, async () => {
  const lines = [
    `FROM ${base} AS one`,
    'ARG WHO=default',
    'FROM one AS two',
    'RUN echo "$WHO" > /who',
    `FROM ${base}`,
    'COPY --from=two /who /',
    'RUN echo "none:$WHO" >> /who',
  ]
  await build(lines, {}, { names: [name], args: { WHO: 'given' } })
  assert.equal(await output(name, 'cat', '/who'), 'given\nnone:\n')
})

test('--chmod in words; ** with --parents; a pattern that matches nothing beside one that does', { skip }, async () => {
  const files = {
    'src/run': { content: '', mode: 0o755 },
    'src/a.txt': '',
    'src/x/b.txt': '',
    'src/x/y/c.txt': '',
    'src/x/y/d.md': '',
  }
  const lines = [
    `FROM ${base}`,
    'COPY --chmod=u=rwX,go=rX src /modes/',
    'COPY --chmod=go-rwx,+X src/a.txt /private',
    'COPY --parents ./src/**/*.txt /parents/',
    'COPY --parents ./src/./**/*.md /pivot/',
    'COPY src/a.txt nothing* /some/',
    'RUN stat -c "%a %n" /modes/run /modes/a.txt /modes/x /private > /told && find /parents /pivot /some -type f | sort >> /told',
  ]
  await build(lines, files, { names: [name] })
  assert.deepEqual((await output(name, 'cat', '/told')).trim().split('\n'), [
    ...['755 /modes/run', '644 /modes/a.txt', '755 /modes/x', '600 /private'],
    ...['/parents/src/a.txt', '/parents/src/x/b.txt', '/parents/src/x/y/c.txt', '/pivot/x/y/d.md', '/some/a.txt'],
  ])
  await refused([`FROM ${base}`, 'COPY nothing* /d/'], { code: 'NOT_FOUND', message: /"nothing\*"/ })
  await refused([`FROM ${base}`, 'COPY --chmod=u=q a /a'], { message: /invalid --chmod "u=q"/ }, { a: '' })
})

test('a directory never takes the place of a file, nor a file that of a directory', { skip }, async () => {
  const files = { 'd/f': 'F', g: 'G' }
  const lines = [`FROM ${base}`, 'RUN mkdir -p /t/g /u && echo kept > /t/file && ln -s /u /t/link']
  await refused([...lines, 'COPY d /t/file'], { message: /cannot copy to non-directory: \/t\/file/ }, files)
  await refused([...lines, 'COPY g /t/'], { message: /cannot replace to directory \/t\/g with file/ }, files)
  await build([...lines, 'COPY d /t/link/', 'COPY g /t/file'], files, { names: [name] })
  assert.equal(await output(name, 'cat', '/u/f', '/t/file'), 'FG')
})

test('a Dockerfile does not give itself this machine’s network', { skip }, async () => {
  const lines = [`FROM ${base}`, 'RUN --network=host true']
  await refused(lines, { code: 'PERMISSION_DENIED', message: /--allow network\.host/ })
  await build(lines, {}, { entitlements: ['network.host'] })
  await build(lines, {}, { network: 'host' })
  await refused([`FROM ${base}`, 'RUN --network=other true'], { message: /is default, none or host/ })
  await refused([`FROM ${base}`, 'RUN --device=vendor.com/x=all true'], { message: /--device is not implemented/ })
})

test('sizes of tmpfs have units; build arguments that BuildKit knows', { skip }, async () => {
  const lines = [
    `FROM ${base}`,
    'RUN --mount=type=tmpfs,target=/t,size=64k df -k /t | tail -n 1 | tr -s " " | cut -d " " -f 2 > /size',
    'RUN --mount=type=cache,id=names,target=/c hostname > /name && echo x >> /c/f && wc -l < /c/f >> /name',
  ]
  const args = (BUILDKIT_CACHE_MOUNT_NS: string) => ({ BUILDKIT_SANDBOX_HOSTNAME: 'sandbox', BUILDKIT_CACHE_MOUNT_NS })
  await build(lines, {}, { names: [name], args: args('one') })
  assert.equal(await output(name, 'cat', '/size', '/name'), '64\nsandbox\n1\n')
  // Another namespace has caches of its own.
  await build(lines, {}, { names: [name], args: args('two'), noCache: true })
  assert.equal(await output(name, 'cat', '/name'), 'sandbox\n1\n')
  await build(lines, {}, { names: [name], args: args('one'), noCache: true })
  assert.equal(await output(name, 'cat', '/name'), 'sandbox\n2\n')
})

test('BUILDKIT_MULTI_PLATFORM: an index around one platform too', { skip }, async () => {
  const { result } = await build([`FROM ${base}`], {}, { args: { BUILDKIT_MULTI_PLATFORM: '1' } })
  assert.match(result.indexDigest, /^sha256:/)
  assert.equal((await build([`FROM ${base}`])).result.indexDigest, '')
})

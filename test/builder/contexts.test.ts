/** Named contexts, and what RUN's mounts take from them. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { base, building, skip } from './building.ts'

const own = building()
const image = 'docker.io/library/contexts:1'
let folder: string

before(async () => {
  if (skip) return
  folder = await mkdtemp(join(tmpdir(), 'gt-contexts-'))
  await mkdir(join(folder, 'main'))
  await mkdir(join(folder, 'lib/sub'), { recursive: true })
  await writeFile(join(folder, 'lib/sub/f'), 'from lib\n')
})
after(async () => {
  if (folder) await rm(folder, { recursive: true })
})

async function built(lines: string[], ...flags: string[]) {
  await writeFile(join(folder, 'main/Dockerfile'), lines.join('\n'))
  return await own.daemon.run('build', '-t', image, ...flags, join(folder, 'main'))
}

test('files by a name: COPY, a mount, FROM, in the place of a stage', { skip }, async () => {
  const lines = [
    `FROM ${base} AS replaced`,
    'RUN exit 3',
    'FROM lib AS whole',
    `FROM ${base}`,
    'COPY --from=lib /sub/f /copied',
    'COPY --from=replaced /sub/f /stage',
    'COPY --from=whole /sub/f /whole',
    'RUN --mount=from=lib,source=sub,target=/m cat /m/f > /mounted',
    'RUN --mount=type=cache,target=/cache,from=lib,source=/sub cat /cache/f > /cached && echo more > /cache/g',
    'RUN --mount=type=cache,target=/cache cat /cache/g >> /cached',
  ]
  const lib = join(folder, 'lib')
  const { code, stderr } = await built(lines, '--build-context', `lib=${lib}`, '--build-context', `replaced=${lib}`)
  assert.equal(code, 0, stderr)
  const seen = await own.output(image, 'cat', '/copied', '/stage', '/whole', '/mounted', '/cached')
  assert.equal(seen, `${'from lib\n'.repeat(5)}more\n`)
  assert.match((await built(lines, '--build-context', 'lib=/none')).stderr, /"lib" "\/none" is not a directory/)
})

test('an image by another name; an OCI layout', { skip }, async () => {
  const lines = ['FROM elsewhere', 'COPY --from=elsewhere /bin/busybox /b']
  assert.equal((await built(lines, '--build-context', `elsewhere=docker-image://${base}`)).code, 0)
  const archive = join(folder, 'layout')
  const exported = await own.daemon.run(
    'build',
    '-o',
    `type=oci,tar=false,dest=${archive}`,
    join(folder, 'main'),
    '--build-context',
    `elsewhere=docker-image://${base}`,
  )
  assert.equal(exported.code, 0, exported.stderr)
  const again = await built([...lines, 'RUN test -e /b'], '--build-context', `elsewhere=oci-layout://${archive}`)
  assert.equal(again.code, 0, again.stderr)
  assert.doesNotMatch((await own.daemon.run('images', 'ls')).stdout, /layout/)
  assert.match((await built(lines, '--build-context', 'elsewhere=oci-layout:///none')).stderr, /none.*not found/)
})

test('what RUN writes to a bound directory is nobody’s afterwards', { skip }, async () => {
  const lines = [
    `FROM ${base} AS tools`,
    'RUN mkdir /d && echo kept > /d/f && ln -s /etc /out',
    `FROM ${base}`,
    'RUN --mount=from=tools,source=/d,target=/m,rw echo gone > /m/f && cat /m/f',
    'RUN --mount=from=tools,source=/d,target=/m cat /m/f > /seen',
    'RUN --mount=target=/ctx,rw echo x > /ctx/new',
    // A link of an image is followed within the image.
    'RUN --mount=from=tools,source=/out,target=/m ls /m > /etc-seen',
    'RUN --mount=from=tools,source=/d,target=/m sh -c "! touch /m/x"',
  ]
  const { code, stderr } = await built(lines)
  assert.equal(code, 0, stderr)
  assert.equal(await own.output(image, 'cat', '/seen'), 'kept\n')
  const hostNames = await readdir('/etc')
  const seen = (await own.output(image, 'cat', '/etc-seen')).trim().split('\n')
  assert.ok(seen.length < hostNames.length && !seen.includes('debian_version'), seen.join())
  assert.match(
    (await built([`FROM ${base}`, 'RUN --mount=from=busybox-none,source=/x,target=/m true'])).stderr,
    /busybox-none/,
  )
})

test('an ignore file of the Dockerfile’s own, wherever it lies', { skip }, async () => {
  const other = join(folder, 'Other.Dockerfile')
  await writeFile(other, `FROM ${base}\nCOPY . /all/\n`)
  await writeFile(`${other}.dockerignore`, 'Dockerfile\nhidden\n')
  await writeFile(join(folder, 'main/hidden'), '')
  await writeFile(join(folder, 'main/.dockerignore'), 'shown\n')
  await writeFile(join(folder, 'main/shown'), '')
  const { code, stderr } = await own.daemon.run('build', '-t', image, '-f', other, join(folder, 'main'))
  assert.equal(code, 0, stderr)
  assert.equal(await own.output(image, 'ls', '-A', '/all'), '.dockerignore\nshown\n')
})

test('a COPY of what is left out is warned of where the file asks for it', { skip }, async () => {
  await writeFile(join(folder, 'main/.dockerignore'), 'shown\n')
  const lines = [`FROM ${base}`, 'COPY Dockerfil* /', 'COPY shown /']
  const { stderr } = await built(['# check=experimental=CopyIgnoredFile', ...lines])
  assert.deepEqual(stderr.match(/^WARN .*$/gm), [
    'WARN CopyIgnoredFile: Attempting to Copy file "shown" that is excluded by .dockerignore',
  ])
  assert.doesNotMatch((await built(lines)).stderr, /WARN/)
})

/** Dockerfiles to images, through the core: real containers, real snapshots, real layers. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { pack } from 'tar-stream'
import { eventually } from '../interop/container-verbs.ts'
import { base, building, build as buildOn, skip } from './building.ts'
import { serveFiles } from './web-server.ts'

const own = building()
const { build, output } = own

test('RUN, COPY, ENV, WORKDIR, CMD: an image that runs', { skip }, async () => {
  const name = 'docker.io/library/first:latest'
  const { steps } = await build(
    [
      `FROM ${base}`,
      'ARG WHO=nobody',
      'ENV GREETING="hello $WHO"',
      'WORKDIR /app/sub',
      'COPY --chown=7:8 *.txt ./',
      'RUN echo "$GREETING $WHO" > out && pwd && ls',
      'CMD ["cat", "out", "a.txt"]',
    ],
    { 'a.txt': 'A\n', 'b.txt': 'B\n' },
    { names: [name], args: { WHO: 'you' } },
  )
  assert.equal(steps.length, 7)
  assert.equal(await output(name), 'hello you you\nA\n')
  assert.match(await output(name, 'ls', '-ln', '/app/sub'), /7 +8 .* a\.txt/)
})

test('a second build takes every layer from the cache; a changed file does not', { skip }, async () => {
  const lines = [`FROM ${base}`, 'RUN echo once > /once', 'COPY f /f', 'RUN cat /f > /g']
  const cached = async (content: string) => (await build(lines, { f: content })).steps.map(step => step.cached)
  assert.deepEqual(await cached('1'), [false, false, false, false])
  assert.deepEqual(await cached('1'), [false, true, true, true])
  assert.deepEqual(await cached('2'), [false, true, false, false])
})

test('stages: from a stage, from scratch, an unused one is skipped', { skip }, async () => {
  const name = 'docker.io/library/stages:latest'
  const { steps } = await build(
    [
      `FROM ${base} AS build`,
      'RUN mkdir /out && echo made > /out/file && ln -s file /out/link',
      `FROM ${base} AS unused`,
      'RUN exit 3',
      'FROM scratch',
      'COPY --from=build /bin/busybox /bin/busybox',
      'COPY --from=0 /out /data/',
      'RUN ["/bin/busybox", "cat", "/data/link"]',
      'ENTRYPOINT ["/bin/busybox"]',
    ],
    {},
    { names: [name] },
  )
  assert.equal(steps.length, 7)
  assert.equal(await output(name, 'cat', '/data/link'), 'made\n')
})

test('here-documents: scripts and files', { skip }, async () => {
  const name = 'docker.io/library/heredoc:latest'
  const { output: told } = await build(
    [
      `FROM ${base}`,
      'ENV V=value',
      'RUN <<EOF',
      'echo one "$V"',
      'echo two',
      'EOF',
      'COPY <<conf <<-"raw" /etc/made/',
      'v="$V"',
      'conf',
      '\tv=$V',
      'raw',
      'RUN cat <<X | cat',
      'piped',
      'X',
      'RUN <<EOF',
      '#!/bin/sh -e',
      'echo script $0',
      'EOF',
    ],
    {},
    { names: [name] },
  )
  assert.match(told, /one value\ntwo\n[\s\S]*piped\n[\s\S]*script \/dev\/pipes\/EOF/)
  assert.equal(await output(name, 'cat', '/etc/made/conf', '/etc/made/raw'), 'v="value"\nv=$V\n')
})

test('what fails says so: a command, a file, an image, a word', { skip }, async () => {
  const refused = (lines: string[], error: object) => assert.rejects(build(lines), error)
  await refused([`FROM ${base}`, 'RUN echo oh; exit 7'], {
    code: 'FAILED_PRECONDITION',
    message: /returned a non-zero code: 7/,
  })
  await refused([`FROM ${base}`, 'COPY none /'], {
    code: 'NOT_FOUND',
    message: /"none": file not found in build context/,
  })
  await refused([`FROM ${base}`, 'COPY ../x /'], {
    code: 'INVALID_ARGUMENT',
    message: /forbidden path[\s\S]*Dockerfile:2:1/,
  })
  await refused([`FROM ${base}`, 'USR x'], { code: 'INVALID_ARGUMENT', message: /did you mean USER/ })
})

test('after all of it nothing of the builds is left but images and cached layers', { skip }, async () => {
  const containers = await own.daemon.run('containers', 'ls', '-q')
  assert.equal(containers.stdout.trim(), '')
  const active = await own.daemon.run('--format', 'json', 'snapshots', 'ls')
  assert.doesNotMatch(active.stdout, /active|view/i)
})

test('RUN --mount: a cache lives on, a tmpfs and bound files leave nothing in the layer', { skip }, async () => {
  const name = 'docker.io/library/mounts:latest'
  const lines = (stamp: string) => [
    `FROM ${base} AS tools`,
    'RUN echo tool > /tool',
    `FROM ${base}`,
    'RUN --mount=type=cache,target=/cache,sharing=locked \\',
    '    --mount=type=tmpfs,target=/scratch --mount=source=dir,target=/in \\',
    '    --mount=from=tools,source=/tool,target=/tool \\',
    `    echo ${stamp} >> /cache/log && cp /cache/log /log && cat /in/f /tool >> /log && touch /scratch/x`,
  ]
  await build(lines('one'), { 'dir/f': 'bound\n' }, { names: [name] })
  await build(lines('two'), { 'dir/f': 'bound\n' }, { names: [name] })
  assert.equal(await output(name, 'cat', '/log'), 'one\ntwo\nbound\ntool\n')
  // Nor what the mounts lay on.
  assert.equal(await output(name, 'sh', '-c', 'ls -d /scratch /cache /in /tool; true'), '')
  await assert.rejects(build(lines('two'), {}), {
    code: 'NOT_FOUND',
    message: /"dir": file not found in build context/,
  })
})

test('a builder killed in the middle of a step: nothing leaks, the next build goes on from what was done', {
  skip,
}, async () => {
  const lines = [`FROM ${base}`, 'RUN echo before > /before', 'RUN test -e /cache/go || sleep 100; echo after > /after']
  const slow = lines.with(2, lines[2]?.replace('RUN ', 'RUN --mount=type=cache,target=/cache ') ?? '')
  const started = Promise.withResolvers<void>()
  const cut = assert.rejects(
    buildOn(
      own.daemon.address,
      { Dockerfile: slow.join('\n') },
      {},
      { onStep: step => step.number === 3 && started.resolve() },
    ),
    { code: 'UNAVAILABLE' },
  )
  await started.promise
  await eventually(async () => assert.match((await own.daemon.run('tasks', 'ls')).stdout, /build-/))
  const plugins = JSON.parse((await own.daemon.run('--format', 'json', 'plugins', 'ls')).stdout)
  process.kill(plugins.find((plugin: { id: string }) => plugin.id === 'dockerfile').pid, 'SIGKILL')
  await cut
  // The supervisor may not have seen the death yet.
  await eventually(async () => {
    const { steps } = await build([...lines.slice(0, 2), 'RUN true'])
    assert.equal(steps[1]?.cached, true)
  })
  await eventually(async () => assert.doesNotMatch((await own.daemon.run('containers', 'ls')).stdout, /build-/))
})

test('ADD: files of the web with a checksum, archives with their owners', { skip }, async () => {
  const served = Buffer.from('from the web\n')
  await using server = await serveFiles({ '/dir/file.txt': served })
  const name = 'docker.io/library/added:latest'
  const tar = pack()
  tar.entry({ name: 'inside/a', uid: 5, gid: 6, mode: 0o640 }, 'a')
  tar.finalize()
  const archive = Buffer.concat(await Readable.from(tar).toArray())
  const files = { 'x.tar.gz': gzipSync(archive), 'x.tar.xz': execFileSync('xz', { input: archive }), plain: 'p' }
  const sum = createHash('sha256').update(served).digest('hex')
  const lines = [
    `FROM ${base}`,
    `ADD --checksum=sha256:${sum} ${server.url}/dir/file.txt /web/`,
    'ADD x.tar.gz plain /gz/',
    'ADD x.tar.xz /xz',
  ]
  await build(lines, files, { names: [name] })
  const listed = await output(
    name,
    'sh',
    '-c',
    'cat /web/file.txt; ls -ln /web/file.txt /gz/inside/a /xz/inside/a /gz/plain',
  )
  assert.match(listed, /^from the web\n/)
  assert.match(listed, /-rw-r----- +1 5 +6 .*\/gz\/inside\/a\n/)
  assert.match(listed, /-rw-r----- +1 5 +6 .*\/xz\/inside\/a/)
  assert.match(listed, /-rw------- +1 0 +0 .*\/web\/file.txt/)
  await assert.rejects(
    build([`FROM ${base}`, `ADD --checksum=sha256:${'0'.repeat(64)} ${server.url}/dir/file.txt /x`]),
    {
      code: 'DATA_LOSS',
    },
  )
  await assert.rejects(build([`FROM ${base}`, `ADD ${server.url}/none /x`]), { code: 'NOT_FOUND' })
})

test('gctr build: the folder, its Dockerfile, the lines it tells, its cache', { skip }, async () => {
  const folder = join(own.daemon.folder, 'context')
  await mkdir(join(folder, 'dir'), { recursive: true })
  await writeFile(
    join(folder, 'Dockerfile'),
    `FROM ${base}\nARG A\nCOPY . /all/\nRUN echo "$A" | tee /a\nCMD ["cat", "/a"]\n`,
  )
  await writeFile(join(folder, 'dir/f'), 'f')
  await symlink('f', join(folder, 'dir/link'))
  await writeFile(join(folder, '.dockerignore'), 'secret\n')
  await writeFile(join(folder, 'secret'), '')
  const built = await own.daemon.run('build', '--tag', 'by-gctr', '--build-arg', 'A=told', folder)
  assert.equal(built.code, 0, built.stderr)
  assert.match(built.stdout, /^sha256:[0-9a-f]{64}\n$/)
  assert.match(built.stderr, /^#(\d+) \[stage-0 4\/5\] RUN echo .*\n(?:#.*\n)*#\1 told\n#\1 DONE \d/m)
  const name = 'docker.io/library/by-gctr:latest'
  assert.equal(await output(name), 'told\n')
  assert.equal(await output(name, 'sh', '-c', 'ls -A /all; cat /all/dir/link'), '.dockerignore\nDockerfile\ndir\nf')
  assert.match((await own.daemon.run('build', '--build-arg', 'A=told', folder)).stderr, /CACHED/)
  const cached = JSON.parse((await own.daemon.run('--format', 'json', 'builder', 'ls')).stdout)
  assert.ok(cached.length > 1)
  assert.match((await own.daemon.run('builder', 'prune')).stdout, new RegExp(`^${cached.length} steps forgotten`))
  assert.equal(JSON.parse((await own.daemon.run('--format', 'json', 'builder', 'ls')).stdout).length, 0)
})

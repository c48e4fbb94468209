/** Repositories as contexts and as sources of ADD, from a git server of the test's own. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { base, building, build as buildOn, skip } from './building.ts'
import { type GitServer, Origin, serveGit } from './git-server.ts'

const own = building()
const { build, output } = own
const name = 'docker.io/library/from-git:latest'
let root: string
let server: GitServer
let origin: Origin
let first: string

before(async () => {
  if (skip) return
  root = await mkdtemp(join(tmpdir(), 'gt-git-'))
  origin = await Origin.create(root, 'app')
  const dockerfile = `FROM ${base}\nCOPY . /all/\n`
  first = await origin.commit({ Dockerfile: dockerfile, 'data/f': 'one\n', 'run.sh!': '#!/bin/sh\n' })
  await origin.run('tag', '-a', '-m', 'one', 'v1')
  await origin.push('main', 'v1')
  await origin.commit(
    { 'data/f': 'two\n', 'sub/Dockerfile': `FROM ${base}\nCOPY here /here\n`, 'sub/here': 'sub\n' },
    'main',
  )
  await origin.run('checkout', '-q', '-b', 'side')
  await origin.commit({ 'data/f': 'side\n' }, 'side')
  server = await serveGit(root)
})
after(async () => {
  await server?.[Symbol.asyncDispose]()
  if (root) await rm(root, { recursive: true })
})

const remote = (address: string, options = {}) =>
  buildOn(own.daemon.address, {}, { names: [name], remote: address, ...options })

test('a repository as the context, or a folder of it', { skip }, async () => {
  const url = `${server.url}/app.git`
  await remote(url)
  const seen = await output(name, 'sh', '-c', 'ls -A /all; stat -c %a /all/run.sh /all/data/f; cat /all/data/f')
  assert.equal(seen, 'Dockerfile\ndata\nrun.sh\nsub\n755\n644\ntwo\n')
  await remote(`${url}#main:sub`)
  assert.equal(await output(name, 'cat', '/here'), 'sub\n')
})

test('tags, branches, commits, in fragments and queries', { skip }, async () => {
  const expected = {
    ...{ '': 'two', '#v1': 'one', '#side': 'side', '#refs/heads/side': 'side', '?branch=side': 'side' },
    ...{ [`#${first}`]: 'one', [`#${first.slice(0, 8)}`]: 'one', [`?tag=v1&commit=${first}`]: 'one' },
  }
  const places = Object.keys(expected).map((suffix, at) => `ADD ${server.url}/app.git${suffix} /${at}/`)
  await build([`FROM ${base}`, ...places], {}, { names: [name] })
  const files = Object.keys(expected).map((_, at) => `/${at}/data/f`)
  assert.equal(
    await output(name, 'cat', ...files),
    Object.values(expected)
      .map(line => `${line}\n`)
      .join(''),
  )
})

test('what a repository lacks is named, and its own settings are nobody else’s', { skip }, async () => {
  const url = `${server.url}/app.git`
  await assert.rejects(remote(`${url}#nowhere`), { code: 'NOT_FOUND', message: /"nowhere" in the repository/ })
  await assert.rejects(remote(`${url}#main:none`), { code: 'NOT_FOUND', message: /folder "none"/ })
  await assert.rejects(remote(`${url}?tag=v1&commit=${'0'.repeat(40)}`), { code: 'DATA_LOSS', message: /is commit/ })
  await assert.rejects(remote(`${url}#--upload-pack=touch`), { code: 'INVALID_ARGUMENT' })
  await assert.rejects(remote('file:///etc'), { code: 'INVALID_ARGUMENT' })
  await assert.rejects(remote(`${server.url.replace('//', '//me:secret@')}/none.git`), error => {
    assert.match(String(error), /none\.git/)
    assert.doesNotMatch(String(error), /secret/)
    return true
  })
})

test('a server that only has files serves as well', { skip }, async () => {
  await using dumb = await serveGit(root, { dumb: true })
  await remote(`${dumb.url}/app.git#v1`)
  assert.equal(await output(name, 'cat', '/all/data/f'), 'one\n')
  await remote(`${dumb.url}/app.git`)
  assert.equal(await output(name, 'cat', '/all/data/f'), 'two\n')
})

test('submodules come along; a local path among them does not', { skip }, async () => {
  const part = await Origin.create(root, 'part')
  await part.commit({ p: 'part\n' })
  const whole = await Origin.create(root, 'whole')
  await whole.run('submodule', '--quiet', 'add', `${server.url}/part.git`, 'part')
  await whole.commit({ Dockerfile: `FROM ${base}\nCOPY . /all/\n` })
  await remote(`${server.url}/whole.git`)
  assert.equal(await output(name, 'sh', '-c', 'cat /all/part/p; ls -A /all/part'), 'part\np\n')
  await remote(`${server.url}/whole.git?submodules=false`)
  assert.equal(await output(name, 'ls', '-A', '/all/part'), '')
  const thief = await Origin.create(root, 'thief')
  await thief.run('submodule', '--quiet', 'add', `${root}/part.git`, 'part')
  await thief.commit({ Dockerfile: `FROM ${base}\n` })
  await assert.rejects(remote(`${server.url}/thief.git`), { message: /transport 'file' not allowed/ })
})

test('ADD of a repository, its git folder and its checksum', { skip }, async () => {
  const url = `${server.url}/app.git`
  const lines = [`FROM ${base}`, `ADD ${url}#v1 /d`, `ADD --keep-git-dir=true --chown=5:6 ${url}#v1:/ /kept`]
  await build(lines, {}, { names: [name] })
  const said = await output(
    name,
    'sh',
    '-c',
    'cat /d/data/f; ls -A /d; stat -c %u:%g /kept/data/f; cat /kept/.git/HEAD',
  )
  assert.equal(said, `one\nDockerfile\ndata\nrun.sh\n5:6\n${first}\n`)
  const { steps } = await build(lines, {}, { names: [name] })
  assert.deepEqual(
    steps.slice(1).map(({ cached }) => cached),
    [true, true],
  )
  await build([`FROM ${base}`, `ARG SUM=${first}`, `ADD --checksum=$SUM ${url}#v1 /d`])
  await assert.rejects(build([`FROM ${base}`, `ADD --checksum=${'1'.repeat(40)} ${url}#v1 /d`]), { code: 'DATA_LOSS' })
  await assert.rejects(build([`FROM ${base}`, 'ADD --checksum=sha256:00 f /d'], { f: '' }), {
    code: 'INVALID_ARGUMENT',
  })
})

test('a token is shown to its server alone, and is in no message', { skip }, async () => {
  const secrets = { GIT_AUTH_TOKEN: Buffer.from('token-4711\n') }
  await remote(`${server.url}/app.git`, { secrets })
  const expected = `basic ${Buffer.from('x-access-token:token-4711').toString('base64')}`
  assert.ok(server.seen.length > 0 && server.seen.every(header => header === expected))
})

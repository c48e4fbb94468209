/** The docker command, unmodified, builds: the classic protocol (`DOCKER_BUILDKIT=0 docker build`). */
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Docker, dockerCommand } from './docker.ts'

const skip =
  process.getuid?.() !== 0 ? 'containers need root' : dockerCommand === undefined ? 'docker is not installed' : false
const base = 'busybox:test'
let docker: Docker

before(async () => {
  if (skip) return
  docker = await Docker.start()
  await docker.importBusybox(base)
})
after(() => docker?.[Symbol.asyncDispose]())

async function build(name: string, files: Record<string, string>, ...flags: string[]) {
  const folder = join(docker.folder, 'contexts', name)
  await mkdir(folder, { recursive: true })
  for (const [path, content] of Object.entries(files)) await writeFile(join(folder, path), content)
  return docker.run(['build', '--tag', name, ...flags, folder], { env: { DOCKER_BUILDKIT: '0' } })
}

test('build, run, build again from the cache', { skip }, async () => {
  const files = {
    Dockerfile: `FROM ${base}\nARG WHO\nCOPY a /a\nRUN echo "for $WHO" >> /a\nCMD ["cat", "/a"]\n`,
    a: 'made\n',
  }
  const first = await build('app:1', files, '--build-arg', 'WHO=you', '--label', 'of=mine')
  assert.equal(first.code, 0, first.stderr)
  assert.match(first.stdout, /Step 4\/6 : RUN echo "for \$WHO" >> \/a/)
  assert.match(first.stdout, /Successfully built [0-9a-f]{12}\nSuccessfully tagged app:1\n/)
  assert.equal(await docker.ok('run', '--rm', '--network', 'none', 'app:1'), 'made\nfor you')
  assert.equal(await docker.ok('inspect', '--format', '{{index .Config.Labels "of"}}', 'app:1'), 'mine')
  const second = await build('app:2', files, '--build-arg', 'WHO=you')
  assert.equal(second.stdout.match(/Using cache/g)?.length, 2, second.stdout)
})

test('quiet; a failing command; a file that is not there; a line that is none', { skip }, async () => {
  const quiet = await build('quiet', { Dockerfile: `FROM ${base}\nENV A=b\n` }, '--quiet')
  assert.match(quiet.stdout, /^sha256:[0-9a-f]{64}\n$/)
  const failing = await build('failing', { Dockerfile: `FROM ${base}\nRUN echo oh; exit 3\n` })
  assert.match(failing.stdout, /^oh$/m)
  assert.match(failing.stderr, /The command '\/bin\/sh -c echo oh; exit 3' returned a non-zero code: 3/)
  assert.equal(failing.code, 3)
  const missing = await build('missing', { Dockerfile: `FROM ${base}\nCOPY none /\n` })
  assert.match(missing.stderr, /file not found in build context/)
  const unreadable = await build('unreadable', { Dockerfile: `FROM ${base}\nRUNN x\n` })
  assert.match(unreadable.stderr, /did you mean RUN/)
})

test('history says who made what', { skip }, async () => {
  await build('told', { Dockerfile: `FROM ${base}\nENV A=b\nRUN true\n` })
  const history = await docker.ok('history', '--no-trunc', '--format', '{{.CreatedBy}}', 'told')
  assert.match(history, /^\/bin\/sh -c true\n\/bin\/sh -c #\(nop\) {2}ENV A=b$/m)
})

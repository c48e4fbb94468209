/** `gctr build` as people see it: on a terminal, in a pipe, as JSON, and when it fails. */
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { runOnTerminal } from '../integration/pty.ts'
import { base, building, skip } from './building.ts'

const own = building()

async function context(name: string, ...lines: string[]): Promise<string> {
  const folder = join(own.daemon.folder, name)
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'Dockerfile'), `${[`FROM ${base}`, ...lines].join('\n')}\n`)
  return folder
}

test('on a terminal: one picture, with the last lines of what runs, and at the end each step once', {
  skip,
}, async () => {
  const folder = await context('shown', 'RUN for i in 1 2 3 4 5 6 7 8; do echo line $i; done; sleep 1', 'RUN true')
  const { code, stdout } = await runOnTerminal(own.daemon.gctr('build', folder), [])
  assert.equal(code, 0, stdout)
  assert.match(stdout, /=> \[stage-0 2\/3\] RUN for .*\r\n => => # line 3\r\n/)
  const last = stdout.slice(stdout.lastIndexOf('[+] Building'))
  assert.match(last, /^\[\+\] Building \d+\.\ds \(3\/3\) FINISHED/)
  assert.doesNotMatch(last, /=> => #/)
  assert.match(last, /sha256:[0-9a-f]{64}/)
  const again = await runOnTerminal(own.daemon.gctr('build', folder), [])
  assert.match(again.stdout, /=> CACHED \[stage-0 2\/3\]/)
})

test('a command that fails: its output once more, its place, its exit code', { skip }, async () => {
  const folder = await context('failing', 'RUN echo reason >&2; exit 9')
  for (const kind of ['plain', 'tty']) {
    const { code, stderr } = await own.daemon.run('build', '--progress', kind, folder)
    assert.equal(code, 1)
    const [, told = ''] = stderr.split('------\n > [stage-0 2/2] RUN echo reason >&2; exit 9:\n')
    assert.match(told, /^reason\n------\nDockerfile:2:1\n {2}2 \| RUN echo reason >&2; exit 9\n {4}\| \^+\n/, stderr)
    assert.match(told, /gctr: The command '.*' returned a non-zero code: 9/)
  }
})

test('rawjson tells vertexes and logs, quiet nothing', { skip }, async () => {
  const folder = await context('raw', 'RUN echo told')
  const { stderr } = await own.daemon.run('build', '--progress', 'rawjson', folder)
  const told = stderr
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
  const vertexes = told.flatMap(({ vertexes = [] }) => vertexes)
  const done = vertexes.find(({ name, completed }) => /RUN/.test(name) && completed !== undefined)
  assert.ok(done)
  const logs = told.flatMap(({ logs = [] }) => logs).filter(({ vertex }) => vertex === done.digest)
  assert.equal(Buffer.concat(logs.map(({ data }) => Buffer.from(data, 'base64'))).toString(), 'told\n')
  const quiet = await own.daemon.run('build', '--progress', 'quiet', folder)
  assert.equal(quiet.stderr, '')
  assert.match(quiet.stdout, /^sha256:[0-9a-f]{64}\n$/)
})

test('colours are for terminals that want them', { skip }, async () => {
  const folder = await context('colours', 'RUN true')
  // Node shows none where CI is set.
  const plain = ['CI', 'NO_COLOR', 'FORCE_COLOR', 'NODE_DISABLE_COLORS'].map(name => `--unset=${name}`)
  const onTerminal = async (env: string) =>
    (await runOnTerminal(['env', ...plain, 'TERM=xterm-256color', env, ...own.daemon.gctr('build', folder)], [])).stdout
  assert.ok((await onTerminal('X=')).includes('\u001b[34m => '))
  assert.ok(!(await onTerminal('NO_COLOR=1')).includes('\u001b[34m'))
})

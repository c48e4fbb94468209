/** Secrets and agents reach a step and stay nowhere. */
import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { base, building, skip } from './building.ts'

const secret = 'nobody-else-may-know-4711'
const own = building()

async function folderWith(lines: string[]): Promise<string> {
  const folder = join(own.daemon.folder, `context-${crypto.randomUUID()}`)
  await mkdir(folder)
  await writeFile(join(folder, 'Dockerfile'), [`FROM ${base}`, ...lines].join('\n'))
  return folder
}

/** Every file of the daemon's, layers unpacked. */
async function* everyFile(folder: string): AsyncGenerator<{ path: string; bytes: Buffer }> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const bytes = await readFile(path)
    yield { path, bytes: bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes }
  }
}

test('a secret is a file or a variable of one step, and is found nowhere afterwards', { skip }, async () => {
  const file = join(own.daemon.folder, '..', `gt-secret-${process.pid}`)
  const context = await folderWith([
    'RUN --mount=type=secret,id=key test "$(cat /run/secrets/key | wc -c)" = 25 && ls -ln /run/secrets/key',
    'RUN --mount=type=secret,id=key,target=/k,mode=0440,uid=5 --mount=type=secret,id=key,env=KEY test "$(cat /k)" = "$KEY"',
    'RUN test -z "$KEY" && test ! -e /run/secrets && test ! -e /k',
  ])
  await writeFile(file, secret)
  try {
    const built = await own.daemon.run('build', '-t', 'hushed', '--secret', `id=key,src=${file}`, context)
    assert.equal(built.code, 0, built.stderr)
    assert.match(built.stderr, /-r--------/)
    for await (const { path, bytes } of everyFile(own.daemon.folder)) assert.ok(!bytes.includes(secret), path)
  } finally {
    await rm(file)
  }
})

test('what is required and not handed over is asked for; what is not, is left out', { skip }, async () => {
  const needed = await folderWith(['RUN --mount=type=secret,id=key,required true'])
  assert.match(
    (await own.daemon.run('build', needed)).stderr,
    /secret "key", which RUN requires: hand it over with --secret/,
  )
  const optional = await folderWith(['RUN --mount=type=secret,id=key --mount=type=ssh test ! -e /run/secrets/key'])
  assert.equal((await own.daemon.run('build', optional)).code, 0)
  assert.match(
    (await own.daemon.run('build', '--secret', 'id=no,env=NO_SUCH', optional)).stderr,
    /environment has no NO_SUCH/,
  )
})

test('an agent is at the socket that SSH_AUTH_SOCK names', { skip }, async () => {
  const socket = join(own.daemon.folder, 'agent.sock')
  const server = createServer(connection => connection.end('agent here\n'))
  await new Promise<void>(resolve => void server.listen(socket, resolve))
  try {
    const context = await folderWith(['RUN --mount=type=ssh nc "local:$SSH_AUTH_SOCK" || test -S "$SSH_AUTH_SOCK"'])
    const built = await own.daemon.run('build', '--ssh', `default=${socket}`, context)
    assert.equal(built.code, 0, built.stderr)
    const missing = await own.daemon.run('build', '--ssh', 'default=/etc/hostname', '--no-cache', context)
    assert.match(missing.stderr, /"\/etc\/hostname" is not a socket/)
  } finally {
    server.close()
  }
})

/** `gctr build` and `gctr builder` by themselves: standard input, filters of pruning, credentials for a build's images. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { archiveOf, base, building, skip } from './building.ts'

const own = building()
const name = 'docker.io/library/command:latest'

/** Runs gctr with that on its standard input. */
async function fed(input: Buffer | string, ...args: string[]): Promise<{ code: number; stderr: string }> {
  const [node = '', ...argv] = own.daemon.gctr(...args)
  const child = spawn(node, argv, { stdio: ['pipe', 'ignore', 'pipe'] })
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const stderr = Buffer.concat(await child.stderr.toArray()).toString()
  if (child.exitCode === null) await new Promise(resolve => child.once('exit', resolve))
  return { code: child.exitCode ?? -1, stderr }
}

async function bytes(archive: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of archive) chunks.push(chunk)
  return Buffer.concat(chunks)
}

test('-: a Dockerfile, or an archive, on standard input; -f - beside a folder', { skip }, async () => {
  const alone = await fed(`FROM ${base}\nRUN echo alone > /f\n`, 'build', '-t', name, '-')
  assert.equal(alone.code, 0, alone.stderr)
  assert.equal(await own.output(name, 'cat', '/f'), 'alone\n')
  const archive = await bytes(archiveOf({ Dockerfile: `FROM ${base}\nCOPY g /f\n`, g: 'archived\n' }))
  const whole = await fed(archive, 'build', '-t', name, '-')
  assert.equal(whole.code, 0, whole.stderr)
  assert.equal(await own.output(name, 'cat', '/f'), 'archived\n')
  const folder = join(own.daemon.folder, 'beside')
  await mkdir(folder)
  await writeFile(join(folder, 'h'), 'beside\n')
  const beside = await fed(`FROM ${base}\nCOPY h /f\n`, 'build', '-t', name, '-f', '-', folder)
  assert.equal(beside.code, 0, beside.stderr)
  assert.equal(await own.output(name, 'cat', '/f'), 'beside\n')
})

test('builder prune --filter leaves what was used since', { skip }, async () => {
  await own.build([`FROM ${base}`, 'RUN echo kept > /kept'])
  const keys = async () => JSON.parse((await own.daemon.run('--format', 'json', 'builder', 'ls')).stdout).length
  const before = await keys()
  assert.ok(before > 0)
  for (const filter of ['until=1h', 'unused-for=24h', 'until=2020-01-01T00:00:00Z']) {
    const { code, stderr } = await own.daemon.run('builder', 'prune', '--filter', filter)
    assert.equal(code, 0, stderr)
    assert.equal(await keys(), before, filter)
  }
  assert.match((await own.daemon.run('builder', 'prune', '--filter', 'label=x')).stderr, /it is until=TIME/)
  await own.daemon.run('builder', 'prune', '--filter', 'until=0s')
  assert.equal(await keys(), 0)
})

test('what Docker’s configuration knows of a registry goes along with the build', { skip }, async () => {
  const seen: (string | undefined)[] = []
  await using server = createServer((request, response) => {
    seen.push(request.headers.authorization)
    response.writeHead(401, { 'www-authenticate': 'Basic realm="test"' }).end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const folder = join(own.daemon.folder, 'known')
  await mkdir(folder)
  await writeFile(join(folder, 'Dockerfile'), `FROM ${host}/private:1\n`)
  const auth = Buffer.from('me:secret-4711').toString('base64')
  await writeFile(join(folder, 'config.json'), JSON.stringify({ auths: { [host]: { auth } } }))
  const [node = '', ...argv] = own.daemon.gctr('build', folder)
  const child = spawn(node, argv, { stdio: 'ignore', env: { ...process.env, DOCKER_CONFIG: folder } })
  const [code] = await new Promise<[number]>(resolve => child.once('exit', exit => resolve([exit ?? -1])))
  assert.notEqual(code, 0)
  assert.ok(seen.includes(`Basic ${auth}`), seen.join())
})

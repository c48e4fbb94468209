/** `POST /build?remote=`: what is at an address is the context. */
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { Docker, dockerCommand } from '../clients/docker.ts'
import { archiveOf } from './building.ts'
import { serveFiles, type WebServer } from './web-server.ts'

const skip =
  process.getuid?.() !== 0 ? 'containers need root' : dockerCommand === undefined ? 'docker is not installed' : false
const base = 'busybox:test'
let docker: Docker
let web: WebServer

before(async () => {
  if (skip) return
  docker = await Docker.start()
  await docker.importBusybox(base)
  const files = { 'sub/Other': `FROM ${base}\nCOPY f /f\nCMD ["cat", "/f"]\n`, f: 'in the archive\n' }
  const archive = Buffer.concat(await Readable.from(archiveOf(files)).toArray())
  web = await serveFiles({
    '/lone': `FROM ${base}\nENV A=b\n`,
    '/context.tar.gz': gzipSync(archive),
  })
})
after(async () => {
  await web?.[Symbol.asyncDispose]()
  await docker?.[Symbol.asyncDispose]()
})

async function build(remote: string, query = ''): Promise<string> {
  const answer = await docker.request('POST', `/build?t=remote&remote=${encodeURIComponent(remote)}${query}`)
  assert.equal(answer.status, 200)
  return answer.body
}

test('a lone Dockerfile, an archive with a Dockerfile of another name', { skip }, async () => {
  assert.match(await build(`${web.url}/lone`), /Successfully tagged remote:latest/)
  assert.match(await docker.ok('inspect', '--format', '{{.Config.Env}}', 'remote'), /A=b/)
  assert.match(await build(`${web.url}/context.tar.gz`, '&dockerfile=sub/Other'), /Successfully tagged remote:latest/)
  assert.equal(await docker.ok('run', '--rm', '--network', 'none', 'remote'), 'in the archive')
})

test('what is not there, or is no address', { skip }, async () => {
  assert.match(await build(`${web.url}/none`), /fetching .*\/none\W+: 404/)
  assert.match(await build('client-session'), /is neither a git repository nor an http/)
  assert.match(await build('file:///etc'), /repositories of this machine are not for builds/)
})

/** docs/plugins.md, word for word: what it tells a new user to type is typed here. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { Daemon } from '../daemon/daemon.ts'
import { patience } from '../daemon/patience.ts'
import { runCommand } from '../daemon/run-command.ts'

const timeout = 300_000 * patience
const repo = join(import.meta.dirname, '../..')
const needed = ['/usr/bin/python3', '/usr/lib/python3/dist-packages/grpc', join(repo, 'build/contracts.binpb')]
const missing = needed.find(path => !existsSync(path))
const skip = process.getuid?.() !== 0 ? 'needs root' : missing !== undefined && `needs ${missing}`

async function walkthrough(): Promise<string> {
  const text = await readFile(join(repo, 'docs/plugins.md'), 'utf8')
  return /```sh walkthrough\n(.*?)```/s.exec(text)?.[1] ?? assert.fail('docs/plugins.md has no walkthrough')
}

test('a Python snapshotter is made, used, upgraded and removed without touching the daemon', {
  skip,
  timeout,
}, async () => {
  await using daemon = await Daemon.start({ config: '[plugins.gateways.docker]\ndisabled = true\n' })
  const { pid } = daemon
  // The archive that the text asks for; in the store it would keep nothing of the plugin's.
  await daemon.importBusybox()
  await daemon.run('images', 'rm', '--sync', 'test.example/busybox:1')
  const bin = join(daemon.folder, 'bin')
  await mkdir(bin)
  const quoted = daemon.gctr().map(word => `'${word}'`)
  await writeFile(join(bin, 'gctr'), `#!/bin/sh\nexec ${quoted.join(' ')} "$@"\n`)
  await chmod(join(bin, 'gctr'), 0o755)
  const script = `set -ex\nPATH=${bin}:$PATH\ncd ${daemon.folder}\n${await walkthrough()}`
  const { code, stdout, stderr } = await runCommand(['/bin/sh', '-c', script], { timeoutMs: timeout })
  assert.equal(code, 0, `${stdout}\n${stderr}\n${daemon.log}`)
  assert.match(stdout, /^hello$/m)
  assert.match(stdout, /^hello again$/m)
  assert.match(stdout, /^snapshotter\/mycopy 1\.1\.0 ready$/m)
  assert.match(stdout, /info +serving at /)
  assert.equal(daemon.pid, pid)
  assert.doesNotMatch((await daemon.run('plugins', 'ls')).stdout, /mycopy/)
})

/** A gateway under a whole gantryd. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Daemon } from '../daemon/daemon.ts'
import { patience } from '../daemon/patience.ts'

const timeout = 120_000 * patience
const skip = process.getuid?.() === 0 ? false : 'needs root'

const program = join(import.meta.dirname, '../../core/plugins/testing/sample-plugin.ts')
const manifest = `id = "door"\nkind = "gateway"\nversion = "1.0.0"\nexecutable = ["${program}"]\n`

async function ask(socket: string): Promise<string> {
  const connection = connect(socket)
  await once(connection, 'connect')
  return await text(connection)
}

interface Row {
  id: string
  state: string
}

async function row(daemon: Daemon): Promise<Row | undefined> {
  const { stdout } = await daemon.run('--format', 'json', 'plugins', 'ls')
  return (JSON.parse(stdout) as Row[]).find(({ id }) => id === 'door')
}

test('gantryd starts a gateway of a plugin directory, unless it is disabled', { skip, timeout }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-doors-'))
  const config = (more: string) => `plugin_directories = ["${folder}"]
[plugins.gateways.docker]
disabled = true
[plugins.gateways.door]
asGateway = true
${more}`
  try {
    await writeFile(join(folder, 'door.toml'), manifest)
    {
      await using daemon = await Daemon.start({ config: config('') })
      const deadline = Date.now() + 60_000 * patience
      for (; (await row(daemon))?.state !== 'ready'; await sleep(50)) assert.ok(Date.now() < deadline, daemon.log)
      const socket = join(daemon.state, 'door.sock')
      assert.equal(await ask(socket), daemon.address)
      await daemon.stop()
      await assert.rejects(ask(socket), /ECONNREFUSED|ENOENT/)
    }
    await using daemon = await Daemon.start({ config: config('disabled = true') })
    assert.equal(await row(daemon), undefined)
  } finally {
    await rm(folder, { recursive: true })
  }
})

/** The kit for the kinds that call the core: the example log sink, the builder and the gateway keep their rules. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isGantryError } from '#api/errors/errors.ts'
import { PluginsServiceDefinition } from '#api/gen/gantry/services/plugins/v1/plugins.ts'
import { connect, createClient } from '#api/rpc/client.ts'
import { Daemon } from '../daemon/daemon.ts'
import { patience } from '../daemon/patience.ts'
import { runCommand } from '../daemon/run-command.ts'

const repo = join(import.meta.dirname, '../..')
const timeout = 300_000 * patience
const skip = process.getuid?.() === 0 ? false : 'needs root'

async function check(kind: string, address: string, ...flags: string[]) {
  const args = [join(repo, 'cmd/gctr/main.ts'), 'plugins', 'check', '--kind', kind, ...flags, address]
  return await runCommand([process.execPath, ...args], { timeoutMs: timeout })
}

/** On a busy machine a plugin may need a second start. */
async function reach(daemon: Daemon, kind: string, id: string): Promise<string> {
  using channel = connect(daemon.address)
  for (const deadline = Date.now() + 60_000 * patience; ; await sleep(200))
    try {
      return (await createClient(PluginsServiceDefinition, channel).reach({ kind, id })).address
    } catch (error) {
      if (!isGantryError(error, 'UNAVAILABLE') || Date.now() > deadline) throw error
    }
}

test('the example log sink keeps the contract', { skip, timeout }, async t => {
  await using daemon = await Daemon.start()
  const file = join(daemon.folder, 'kept')
  const image = await daemon.importBusybox()
  const config = JSON.stringify({ file })
  const folder = join(repo, 'contrib/examples/typescript-log-sink')
  const added = await daemon.run('plugins', 'add', '--link', '--config', config, folder)
  assert.equal(added.code, 0, added.stderr)
  const address = await reach(daemon, 'log-sink', 'jsonl')
  const of = ['--core', daemon.address, '--image', image, '--read']
  const right = await check('log-sink', address, ...of, `cat ${file}`)
  assert.equal(right.code, 0, right.stdout + right.stderr)
  t.diagnostic(/^\d+ of \d+ rules kept$/m.exec(right.stdout)?.[0] ?? '')
  const nowhere = await check('log-sink', address)
  assert.equal(nowhere.code, 2)
  assert.match(nowhere.stderr, /needs --core .* --image .* --read/)
})

test('the builder and the Docker gateway keep the base of their contracts', { skip, timeout }, async t => {
  await using daemon = await Daemon.start({ config: '[plugins.gateways.docker]\n' })
  for (const [kind, id] of [
    ['builder', 'dockerfile'],
    ['gateway', 'docker'],
  ] as const) {
    const { code, stdout, stderr } = await check(kind, await reach(daemon, kind, id))
    assert.equal(code, 0, stdout + stderr)
    t.diagnostic(`${kind}: ${/^\d+ of \d+ rules kept$/m.exec(stdout)?.[0]}`)
  }
})

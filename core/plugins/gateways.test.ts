/** Gateways: what starts with gantryd. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { processAlive } from '#api/sys/sys.ts'
import { supervise } from './testing/supervised.ts'

const timeout = 120_000

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 30_000; !(await holds()); await sleep(20))
    if (Date.now() > deadline) assert.fail(`${what} did not come about`)
}

async function ask(socket: string): Promise<string> {
  const connection = connect(socket)
  await once(connection, 'connect')
  return await text(connection)
}

test('a gateway starts unasked, is kept up past every limit, and ends with its handle', { timeout }, async () => {
  const timing = { maxFailures: 1, backOffMs: 20, backOffCapMs: 40 }
  await using s = await supervise(
    [
      { kind: 'gateway', id: 'door', config: { asGateway: true } },
      { kind: 'network', id: 'lazy' },
    ],
    { timing },
  )
  const gateways = s.plugins.startGateways()
  await until('its start', () => s.row('door').state === 'ready')
  assert.equal(s.row('lazy').state, 'idle')
  assert.equal(await ask(join(s.home, 'state', 'door.sock')), join(s.home, 'core.sock'))
  for (const restarts of [1, 2, 3]) {
    process.kill(s.row('door').pid, 'SIGKILL')
    await until('a restart', () => s.row('door').restarts === restarts && s.row('door').state === 'ready')
  }
  const { pid } = s.row('door')
  await gateways[Symbol.asyncDispose]()
  assert.equal(processAlive(pid), false)
  assert.equal(s.row('door').state, 'stopped')
})

import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { State } from '#api/gen/gantry/services/logs/v1/logs.ts'
import { runDyingChild } from '#api/testing/dying-child.ts'
import { follower, id, ns, offered, type RemovalOrder, world } from './testing/removing-child.ts'

const child = join(import.meta.dirname, 'testing', 'removing-child.ts')

test('a removal killed at any step loses no line that somebody has still to read', async () => {
  for (const dieAt of [undefined, 'announced', 'record', 'snapshot', 'departed']) {
    const folder = await mkdtemp(join(tmpdir(), 'gantry-removal-'))
    const order: RemovalOrder = { folder, ...(dieAt && { dieAt }) }
    const { isKilled, steps } = await runDyingChild(child, order)
    assert.equal(isKilled, dieAt !== undefined, `${dieAt}: ${steps}`)
    const { store, records, containers, logs } = world(folder, () => {})
    await logs.open()
    const isLeft = dieAt === 'announced'
    assert.equal((await records.list(ns)).length, isLeft ? 1 : 0, dieAt)
    const source = await offered(logs)
    assert.equal(source?.state, isLeft ? State.STATE_RESTING : State.STATE_DEPARTED, dieAt)
    assert.equal(await readFile(source?.file ?? '', 'utf8'), 'a line\n', dieAt)
    if (isLeft) await containers.delete(ns, id)
    const departed = await offered(logs)
    await logs.done(follower, departed?.file ?? '')
    assert.deepEqual(await readdir(join(folder, 'departed-logs')), [], dieAt)
    assert.deepEqual(await readdir(join(folder, 'containers', ns)), [], dieAt)
    logs[Symbol.dispose]()
    await store.close()
    await rm(folder, { recursive: true })
  }
})

test('a note of a removal that cannot be read keeps no daemon from starting', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-removal-'))
  await runDyingChild(child, { folder, dieAt: 'record' } satisfies RemovalOrder)
  await writeFile(join(folder, 'containers', ns, id, 'departed.json'), '')
  const { store, logs } = world(folder, () => {})
  await logs.open()
  assert.deepEqual(await readdir(join(folder, 'departed-logs')), [])
  logs[Symbol.dispose]()
  await store.close()
  await rm(folder, { recursive: true })
})

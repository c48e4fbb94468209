/**
 * The daemon dies by SIGKILL behind each record it writes and on either side of each call of its network plugin; the plugin
 * lives on. GANTRY_TEST_FULL=1 has each place both repeated and given up; otherwise they take turns.
 */
import assert from 'node:assert/strict'
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type DyingChild, runDyingChild } from '#api/testing/dying-child.ts'
import { inPrivateHost } from '#sdk/network-private.ts'
import { patience } from '../daemon/patience.ts'
import { type CoreCrashOrder, type CoreVerbName, coreVerbNames } from './networks-core-crash-child.ts'
import { type PluginProcess, World } from './networks-world.ts'

const childMain = fileURLToPath(new URL('networks-core-crash-child.ts', import.meta.url))

const isFull = process.env.GANTRY_TEST_FULL === '1'
/** Of one verb. All of its places, both ways, are some hundred processes one after another. */
const verbMs = (isFull ? 1_800_000 : 120_000) * patience

if (inPrivateHost(fileURLToPath(import.meta.url), isFull ? 10 * verbMs : undefined)) {
  const briefly: readonly CoreVerbName[] = ['create', 'remove', 'attach', 'detach', 'connect', 'publish']
  let world: World

  before(async () => {
    world = await World.create()
  })
  after(() => world[Symbol.asyncDispose]())

  for (const [index, verb] of (isFull ? coreVerbNames : briefly).entries())
    test(`the daemon killed at each act of: ${verb}`, { timeout: verbMs }, async t => {
      const instance = `c0de0${index}00`
      const plugin = await world.plugin(instance)
      await using _ = { [Symbol.asyncDispose]: () => empty(plugin) }
      const dir = mkdtempSync(join(world.dir, 'core-'))
      const pin = (name: string) => world.namespace(`core-${verb}-${name}`)
      const pins = { bystander: await pin('bystander'), subject: await pin('subject') }
      const places = { store: join(dir, 'store'), states: join(dir, 'states'), plugin: plugin.address }
      const order = { ...places, instance, pins, verb }
      const acts = new Set((await run({ ...order, after: 'nothing' })).steps)
      const passed: string[] = []
      for (const dieAt of acts)
        for (const each of isFull
          ? (['repeat', 'abandon'] as const)
          : ([passed.length % 2 ? 'repeat' : 'abandon'] as const)) {
          const child = await run({ ...order, dieAt, after: each })
          for (const act of child.steps) acts.add(act)
          if (child.isKilled && !passed.includes(dieAt)) passed.push(dieAt)
        }
      await run({ ...order, after: 'repeat' })
      t.diagnostic(`${verb}: ${passed.join(', ')}`)
      assert.ok(passed.length >= 3, `only ${passed.length} acts: ${passed.join(', ')}`)
    })
}

/** Takes all of it out of the kernel, for the next test. */
async function empty(plugin: PluginProcess): Promise<void> {
  for (const { id } of await plugin.plugin.listNetworks()) {
    await plugin.plugin.gc(id, [])
    await plugin.plugin.removeNetwork(id)
  }
  await plugin.kill('SIGTERM')
}

/** Every child compiles the same core: once. */
function run(order: CoreCrashOrder): Promise<DyingChild> {
  return runDyingChild(childMain, order, {
    ...process.env,
    NODE_COMPILE_CACHE: join(order.store, '..', '..', 'compiled'),
  })
}

/**
 * The bridge plugin dies by SIGKILL at each step of each verb. Its next process repeats the verb, or gives it up and
 * collects garbage: either way the kernel is as after a verb that nobody disturbed, and the other container never noticed.
 * Here one and the other take turns; GANTRY_TEST_FULL=1 does both at each step, and joins second networks too.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type DyingChild, runDyingChild } from '#api/testing/dying-child.ts'
import { inPrivateHost } from '#sdk/network-private.ts'
import { patience } from '../daemon/patience.ts'
import { type CrashOrder, type VerbName, verbNames } from './networks-crash-child.ts'
import { World } from './networks-world.ts'

const childMain = fileURLToPath(new URL('networks-crash-child.ts', import.meta.url))

const isFull = process.env.GANTRY_TEST_FULL === '1'
/** Of one verb. All of its places, both ways, are some hundred processes one after another. */
const verbMs = (isFull ? 1_800_000 : 120_000) * patience

if (inPrivateHost(fileURLToPath(import.meta.url), isFull ? 10 * verbMs : undefined)) {
  const briefly = verbNames.filter(verb => verb !== 'connect' && verb !== 'disconnect')
  let world: World

  before(async () => {
    world = await World.create()
  })
  after(() => world[Symbol.asyncDispose]())

  for (const verb of isFull ? verbNames : briefly)
    test(`killed at each step of: ${verb}`, { timeout: verbMs }, async t => {
      const order = await newOrder(verb)
      await using _ = { [Symbol.asyncDispose]: () => tidy(order) }
      // The first one comes to its end and tells the steps; those who follow may come by more.
      const steps = new Set((await run({ ...order, after: 'nothing' })).steps)
      const passed: string[] = []
      for (const dieAt of steps) {
        const after: CrashOrder['after'] = passed.length % 2 === 0 ? 'abandon' : 'repeat'
        for (const each of isFull ? (['repeat', 'abandon'] as const) : [after]) {
          const child = await run({ ...order, dieAt, after: each })
          for (const step of child.steps) steps.add(step)
          if (child.isKilled && !passed.includes(dieAt)) passed.push(dieAt)
        }
      }
      await run({ ...order, after: 'repeat' })
      t.diagnostic(`${verb}: ${passed.join(', ')}`)
      assert.ok(passed.length >= 3, `only ${passed.length} steps: ${passed.join(', ')}`)
    })

  async function newOrder(verb: VerbName): Promise<CrashOrder> {
    const dir = mkdtempSync(join(world.dir, 'crash-'))
    const pin = (name: string) => world.namespace(`${verb.replaceAll(' ', '-')}-${name}`)
    const pins = { bystander: await pin('bystander'), subject: await pin('subject'), odd: await pin('odd') }
    // An interface of somebody else's, so that ours cannot be made.
    world.in(pins.odd, 'ip', 'link', 'add', 'eth0', 'type', 'bridge')
    return { root: join(dir, 'root'), states: join(dir, 'states'), pins, verb, after: 'nothing' }
  }

  /** With its links the containers' namespaces are as good as gone. */
  async function tidy({ pins }: CrashOrder): Promise<void> {
    for (const link of ['gtstays0', 'gtcomes0'])
      await once(spawn('ip', ['link', 'del', link], { stdio: 'ignore' }), 'close')
    for (const pin of Object.values(pins))
      for (const link of ['eth0', 'eth1'])
        await once(spawn('nsenter', [`--net=${pin}`, 'ip', 'link', 'del', link], { stdio: 'ignore' }), 'close')
    await once(spawn('nft', ['delete', 'table', 'inet', 'gantry-cafe0001'], { stdio: 'ignore' }), 'close')
  }
}

/** Every child compiles the same plugin: once. */
function run(order: CrashOrder): Promise<DyingChild> {
  return runDyingChild(childMain, order, {
    ...process.env,
    NODE_COMPILE_CACHE: join(order.root, '..', '..', 'compiled'),
  })
}

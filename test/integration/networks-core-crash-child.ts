/**
 * The daemon's part of networks, which dies: core/networks on a store, in front of a bridge plugin that lives on. Its acts
 * are records written and calls of the plugin; it kills itself by SIGKILL behind one of them, or before a call. Its successor starts as a
 * daemon does (reconcile), repeats the verb or gives it up, and the kernel must be as after a verb that nobody disturbed.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { isGantryError } from '#api/errors/errors.ts'
import { NetworkPluginServiceDefinition } from '#api/gen/gantry/network/v1/network.ts'
import { createLogger } from '#api/log/log.ts'
import { connect, createClient } from '#api/rpc/client.ts'
import { openStore, type Store } from '#api/store/store.ts'
import { Metadata } from '#core/metadata/metadata.ts'
import type { NetworkBackend } from '#core/networks/backend.ts'
import { createNetworks, type Networks } from '#core/networks/networks.ts'
import { kernelState } from './networks-world.ts'

export interface CoreCrashOrder {
  store: string
  /** Unix socket of the bridge plugin, and the instance in its links' names. */
  plugin: string
  instance: string
  states: string
  pins: { bystander: string; subject: string }
  verb: CoreVerbName
  after: 'nothing' | 'repeat' | 'abandon'
  /** Name of the act to die at; absent: the verb comes to its end. */
  dieAt?: string
}

interface CoreVerb {
  run(networks: Networks, order: CoreCrashOrder): Promise<unknown>
  /** The inverse: to be called in any state. */
  undo(networks: Networks, order: CoreCrashOrder): Promise<unknown>
  /** The container that the verb is about has no task before the verb is through: a new daemon lets go of it. */
  readonly isStarting?: boolean
}

const ns = 'default'
const blue = { name: 'blue', options: { 'com.docker.network.bridge.name': 'gtblue0' } }
const tcp = (hostPort: number) => ({ protocol: 'tcp', hostPort, containerPort: 80, hostIp: '', count: 2 })
const wishes = (host: number) => ({ addresses: [`10.74.0.${host}`, `fd74::${host}`], mac: `02:42:00:00:74:${host}` })
const home = { network: 'home', ...wishes(30), ports: [tcp(8084)] }

const verbs = {
  create: {
    run: n => ignoring('ALREADY_EXISTS', n.create(ns, blue)),
    undo: n => ignoring('NOT_FOUND', n.remove(ns, 'blue')),
  },
  remove: {
    run: n => ignoring('NOT_FOUND', n.remove(ns, 'blue')),
    undo: (n, order) => createAndUse(n, order),
  },
  attach: {
    run: (n, { pins }) => n.attach(ns, 'subject', pins.subject, [home]),
    undo: n => n.detach(ns, 'subject'),
    isStarting: true,
  },
  detach: { run: n => n.detach(ns, 'subject'), undo: (n, { pins }) => n.attach(ns, 'subject', pins.subject, [home]) },
  connect: {
    run: (n, { pins }) => n.join(ns, 'bystander', pins.bystander, { network: 'second', interfaceName: 'eth1' }),
    undo: n => n.detach(ns, 'bystander', 'second'),
  },
  disconnect: {
    run: n => n.detach(ns, 'bystander', 'second'),
    undo: (n, { pins }) => n.join(ns, 'bystander', pins.bystander, { network: 'second', interfaceName: 'eth1' }),
  },
  publish: {
    run: n => n.publish(ns, 'bystander', 'home', [tcp(9090)]),
    undo: n => n.unpublish(ns, 'bystander', 'home', [tcp(9090)]),
  },
  unpublish: {
    run: n => n.unpublish(ns, 'bystander', 'home', [tcp(9090)]),
    undo: n => n.publish(ns, 'bystander', 'home', [tcp(9090)]),
  },
} satisfies Record<string, CoreVerb>

export type CoreVerbName = keyof typeof verbs
export const coreVerbNames = Object.keys(verbs) as CoreVerbName[]

/** One whose removal was given up has its record still; its next use makes it again. */
async function createAndUse(networks: Networks, { pins }: CoreCrashOrder): Promise<void> {
  await ignoring('ALREADY_EXISTS', networks.create(ns, blue))
  await networks.attach(ns, 'subject', pins.subject, [{ network: 'blue' }])
  await networks.detach(ns, 'subject')
}

async function ignoring(code: 'ALREADY_EXISTS' | 'NOT_FOUND', work: Promise<unknown>): Promise<void> {
  await work.catch(error => {
    if (!isGantryError(error, code)) throw error
  })
}

async function main(order: CoreCrashOrder): Promise<void> {
  const acts = new Acts(order.dieAt)
  const verb: CoreVerb = verbs[order.verb]
  const store = openStore(order.store)
  const client = createClient(NetworkPluginServiceDefinition, connect(`unix:${order.plugin}`))
  const networks = createNetworks({
    metadata: new Metadata(watchedStore(store, acts)),
    logger: createLogger({ name: 'core', level: 'silent' }),
    backends: () => watchedBackend(client, acts),
  })
  if (order.after === 'nothing') await prepare(networks, verb, order)
  else await lookAfter(networks, verb, order)
  if (order.dieAt !== undefined || order.after === 'nothing') {
    acts.isRunning = true
    await verb.run(networks, order)
  }
  process.exit(0)
}

/** Names each act by what it is and how often it has come. */
class Acts {
  isRunning = false
  readonly #dieAt: string | undefined
  readonly #counts = new Map<string, number>()

  constructor(dieAt: string | undefined) {
    this.#dieAt = dieAt
  }

  come(what: string): void {
    if (!this.isRunning) return
    const count = (this.#counts.get(what) ?? 0) + 1
    this.#counts.set(what, count)
    const name = count === 1 ? what : `${what} ${count}`
    writeSync(1, `${name}\n`)
    if (name === this.#dieAt) process.kill(process.pid, 'SIGKILL')
  }
}

function watchedStore(store: Store, acts: Acts): Store {
  const write: Store['write'] = work => {
    const answer = store.write(work)
    acts.come('record written')
    return answer
  }
  return { read: store.read.bind(store), close: store.close.bind(store), write } as Store
}

function watchedBackend(client: NetworkBackend, acts: Acts): NetworkBackend {
  return new Proxy(client, {
    get(target, verb) {
      const call = Reflect.get(target, verb) as (...args: unknown[]) => Promise<unknown>
      return async (...args: unknown[]) => {
        acts.come(`${String(verb)} asked`)
        const answer = await call.apply(target, args)
        acts.come(`${String(verb)} answered`)
        return answer
      }
    },
  })
}

const subnets = (digits: string) =>
  [`10.${digits}.0.0/24`, `fd${digits}::/64`].map(cidr => ({ cidr, gateway: '', range: '', reserved: {} }))

async function prepare(networks: Networks, verb: CoreVerb, order: CoreCrashOrder): Promise<void> {
  const named = (name: string) => ({ options: { 'com.docker.network.bridge.name': name } })
  await networks.create(ns, { name: 'home', subnets: subnets('74'), ...named('gthome0') })
  await networks.create(ns, { name: 'second', subnets: subnets('75'), ...named('gtsecond0') })
  const own = { network: 'home', ...wishes(20), ports: [tcp(8082)] }
  await networks.attach(ns, 'bystander', order.pins.bystander, [own])
  await verb.undo(networks, order)
  const was = await quiet(order)
  await verb.run(networks, order)
  const becomes = await quiet(order)
  assert.notEqual(was, becomes)
  await verb.undo(networks, order)
  await isAgain(was, order, 'the undo')
  writeFileSync(order.states, JSON.stringify({ was, becomes }))
}

async function lookAfter(networks: Networks, verb: CoreVerb, order: CoreCrashOrder): Promise<void> {
  const { was, becomes } = JSON.parse(readFileSync(order.states, 'utf8')) as { was: string; becomes: string }
  const alive = ['bystander', ...(verb.isStarting ? [] : ['subject'])]
  await networks.reconcile(alive.map(containerId => ({ namespace: ns, containerId })))
  assert.deepEqual(await networks.check(ns, 'home'), [], 'what was there works')
  if (order.after === 'repeat') {
    await verb.run(networks, order)
    await isAgain(becomes, order, 'repeated')
  }
  // What is given up is undone by reconcile alone, where the daemon knows that it was in the making.
  if (order.after === 'repeat' || !verb.isStarting) await verb.undo(networks, order)
  await isAgain(was, order, order.after)
  const isAlive = async ({ containerId }: { containerId: string }) => containerId !== 'nobody'
  const left = (await networks.collect({ isAlive, dryRun: false })).filter(line => !line.includes('connection '))
  assert.deepEqual(left, [], 'gc')
  assert.deepEqual(await networks.check(ns, 'home'), [])
}

function state({ instance }: CoreCrashOrder): string {
  return kernelState().replaceAll(new RegExp(`gt${instance.slice(0, 6)}v\\w+@if\\d+`, 'g'), 'outer')
}

/** Addresses that the plugin chooses differ from one creation to the next: those of `blue` and of `second`. */
function comparable(order: CoreCrashOrder): string {
  return state(order)
    .split('\n')
    .filter(line => !/gtblue0 |dev gtblue0|172\.30\.|10\.2\d\d\.|10\.75\.0\.[2-9]|fd(?!74|75|99)/.test(line))
    .join('\n')
}

async function quiet(order: CoreCrashOrder): Promise<string> {
  for (let before = comparable(order); ; ) {
    await sleep(60)
    const now = comparable(order)
    if (now === before) return now
    before = now
  }
}

async function isAgain(wanted: string, order: CoreCrashOrder, when: string): Promise<void> {
  for (const deadline = Date.now() + 5000; comparable(order) !== wanted && Date.now() < deadline; ) await sleep(10)
  const [now, then] = [comparable(order).split('\n'), wanted.split('\n')]
  const differs = [now.filter(line => !then.includes(line)), then.filter(line => !now.includes(line))]
  assert.deepEqual(differs, [[], []], `${order.verb}, ${order.after}: ${when}`)
}

if (import.meta.main) await main(JSON.parse(process.argv[2] ?? '') as CoreCrashOrder)

/**
 * The process that dies: the bridge plugin on a root, one verb, SIGKILL by its own hand at one step on the way. First it
 * looks after its predecessor: whatever that one left is repeated or given up, and the kernel must be as it was. Its
 * argument is a {@link CrashOrder} as JSON; the names of the steps that the verb comes by go to stdout.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { openNetworkPlugin } from '#sdk/define-network.ts'
import type { AddRequest, Network, NetworkPlugin } from '#sdk/network.ts'
import { addRequest, fails, openNetwork } from '#sdk/network-suite.ts'
import { bridge } from '../../plugins/networks/bridge/bridge.ts'
import { kernelState } from './networks-world.ts'

export interface CrashOrder {
  root: string
  /** Where the two states of the kernel are kept, from the first child to the others. */
  states: string
  /** Pins of the namespaces of a container that is left alone, of the one that verbs are about, and of one that is not as it should be. */
  pins: { bystander: string; subject: string; odd: string }
  verb: VerbName
  /** What is to be done about the predecessor's verb. */
  after: 'nothing' | 'repeat' | 'abandon'
  /** Name of the step to die at; absent: the verb comes to its end. */
  dieAt?: string
}

interface Verb {
  run(plugin: NetworkPlugin, order: CrashOrder): Promise<unknown>
  /** The inverse: to be called in any state. */
  undo(plugin: NetworkPlugin, order: CrashOrder): Promise<unknown>
  /** Last step of the work that goes on behind the answer. */
  readonly lastStep?: string
}

const instance = 'cafe0001'
const [stays, comes] = [network('a', '10.71.0', 'gtstays0'), network('c', '10.72.0', 'gtcomes0')]
const tcp = (hostPort: number) => ({ protocol: 'tcp', hostPort, containerPort: 80, hostIp: '', count: 1 })
const udpRange = { protocol: 'udp', hostPort: 5000, containerPort: 5000, hostIp: '', count: 3 }

const verbs = {
  'create network': { run: p => p.createNetwork(comes), undo: p => p.removeNetwork(comes.id) },
  'remove network': { run: p => p.removeNetwork(comes.id), undo: p => p.createNetwork(comes) },
  'add endpoint': { run: (p, o) => p.add(subject(o)), undo: (p, o) => p.del(subject(o)) },
  'add endpoint that fails': {
    run: (p, o) => assert.rejects(p.add(odd(o)), fails('ALREADY_EXISTS', /interface "eth0"/)),
    undo: (p, o) => p.del(odd(o)),
  },
  'delete endpoint': {
    run: (p, o) => p.del(subject(o)),
    undo: (p, o) => p.add(subject(o)),
    lastStep: 'departure forgotten',
  },
  connect: { run: (p, o) => p.add(second(o)), undo: (p, o) => p.del(second(o)) },
  disconnect: { run: (p, o) => p.del(second(o)), undo: (p, o) => p.add(second(o)), lastStep: 'departure forgotten' },
  publish: { run: (p, o) => update(p, o, 'publish'), undo: (p, o) => update(p, o, 'unpublish') },
  unpublish: { run: (p, o) => update(p, o, 'unpublish'), undo: (p, o) => update(p, o, 'publish') },
} satisfies Record<string, Verb>

export type VerbName = keyof typeof verbs
export const verbNames = Object.keys(verbs) as VerbName[]

function network(digit: string, prefix: string, name: string): Network {
  const six = `fd${digit}0:1::/64`
  const subnets = [`${prefix}.0/24`, six].map(cidr => ({ cidr, gateway: '', range: '', reserved: {} }))
  return openNetwork(digit, { subnets, options: { 'com.docker.network.bridge.name': name } })
}

function request(id: string, pin: string, on: Network, host: number): AddRequest {
  const [four = '', six = ''] = on.subnets.map(({ cidr }) => cidr)
  const addresses = [four.replace(/0\/24$/, String(host)), six.replace(/\/64$/, String(host))]
  return { ...addRequest(on.id, id, pin), addresses, mac: `02:42:00:00:${on.id.slice(0, 1)}0:${host}`, aliases: [id] }
}

const bystander = ({ pins }: CrashOrder) => ({ ...request('bystander', pins.bystander, stays, 20), ports: [tcp(8080)] })
const subject = ({ pins }: CrashOrder) => ({
  ...request('subject', pins.subject, stays, 30),
  ports: [tcp(8081), udpRange],
})
const second = ({ pins }: CrashOrder) => ({ ...request('subject', pins.subject, comes, 30), interfaceName: 'eth1' })
const odd = ({ pins }: CrashOrder) => ({ ...request('odd', pins.odd, stays, 40), ports: [tcp(8082)] })

function update(plugin: NetworkPlugin, order: CrashOrder, what: 'publish' | 'unpublish'): Promise<unknown> {
  const { networkId, containerId, interfaceName } = bystander(order)
  const change = { publish: [], unpublish: [], [what]: [tcp(9090), { ...udpRange, hostPort: 6000 }] }
  return plugin.update?.({ networkId, containerId, interfaceName, ...change }) ?? Promise.reject(new Error('no update'))
}

if (import.meta.main) await run(JSON.parse(process.argv[2] ?? '') as CrashOrder)

async function run(order: CrashOrder): Promise<void> {
  let isRunning = false
  const seen = new Set<string>()
  const step = (name: string) => {
    seen.add(name)
    if (!isRunning) return
    writeSync(1, `${name}\n`)
    if (name === order.dieAt) process.kill(process.pid, 'SIGKILL')
  }
  const plugin = await openNetworkPlugin(bridge, { root: order.root, instance, step })
  const verb: Verb = verbs[order.verb]
  if (order.after === 'nothing') await prepare(plugin, verb, order)
  else await lookAfter(plugin, verb, order)
  if (order.dieAt !== undefined || order.after === 'nothing') {
    seen.clear()
    isRunning = true
    await verb.run(plugin, order)
    while (verb.lastStep !== undefined && !seen.has(verb.lastStep)) await sleep(2)
  }
  // Not by way of `close`, which takes idle networks out of the kernel.
  process.exit(0)
}

/** The state before the verb, and the one after it. */
async function prepare(plugin: NetworkPlugin, verb: Verb, order: CrashOrder): Promise<void> {
  for (const each of [stays, comes]) await plugin.createNetwork(each)
  await plugin.add(bystander(order))
  if (order.verb === 'create network') await plugin.removeNetwork(comes.id)
  if (order.verb === 'connect' || order.verb === 'disconnect') await plugin.add(subject(order))
  await verb.undo(plugin, order)
  const was = await quiet()
  await verb.run(plugin, order)
  const becomes = await quiet()
  await verb.undo(plugin, order)
  await isAgain(was, 'the undo')
  writeFileSync(order.states, JSON.stringify({ was, becomes }))
}

async function lookAfter(plugin: NetworkPlugin, verb: Verb, order: CrashOrder): Promise<void> {
  assert.ok(existsSync(order.states), 'a first child has looked')
  const { was, becomes } = JSON.parse(readFileSync(order.states, 'utf8')) as { was: string; becomes: string }
  await plugin.check(bystander(order))
  if (order.after === 'repeat') {
    await verb.run(plugin, order)
    await isAgain(becomes, 'repeated')
    for (const network of [stays, comes]) assert.deepEqual(await plugin.gc(network.id, valid(order)), [], 'gc')
    await isAgain(becomes, 'repeated, and gc')
  }
  await verb.undo(plugin, order)
  if (order.after === 'abandon') for (const network of [stays, comes]) await plugin.gc(network.id, valid(order))
  await isAgain(was, order.after === 'repeat' ? 'undone' : 'given up')
  await plugin.check(bystander(order))
}

/** Who the core says is alive: all but the odd one. */
function valid(order: CrashOrder): AddRequest[] {
  return [bystander(order), subject(order), second(order)]
}

/** Outer ends of links have new names each time, and the inner ones other numbers. */
function state(): string {
  return kernelState().replaceAll(/gtcafe00v\w+@if\d+/g, 'outer')
}

/** Slow removals behind an answer have ended. */
async function quiet(): Promise<string> {
  for (let before = state(); ; ) {
    await sleep(60)
    const now = state()
    if (now === before) return now
    before = now
  }
}

async function isAgain(wanted: string, when: string): Promise<void> {
  for (const deadline = Date.now() + 5000; state() !== wanted && Date.now() < deadline; ) await sleep(10)
  const [now, then] = [state().split('\n'), wanted.split('\n')]
  assert.deepEqual(
    now.filter(line => !then.includes(line)),
    then.filter(line => !now.includes(line)),
    when,
  )
}

/**
 * The contract of `network.ts` as named checks, for any plugin:
 *
 *     networkSuite('bridge', { open: root => openNetworkPlugin(bridge, { root }), ownNamespace: true })
 *
 * Needs root. A plugin that touches the host's links or firewall calls it inside `inPrivateHost`.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type ErrorCode, isGantryError } from '#api/errors/errors.ts'
import { createNetns, removeNetns } from '#api/sys/sys.ts'
import type { AddRequest, Network, NetworkPlugin } from './network.ts'

export interface SuiteOptions {
  /** Opens the plugin on a durable directory; opened again on the same one after `close`. */
  open(root: string): Promise<NetworkPlugin>
  /** Its containers have a network namespace of their own. */
  ownNamespace: boolean
}

/** A plugin under test, and containers to attach. */
export class Subject implements AsyncDisposable {
  readonly dir = mkdtempSync(join(tmpdir(), 'gantry-net-'))
  readonly #options: SuiteOptions
  readonly #pins: string[] = []
  #plugin: NetworkPlugin | undefined

  constructor(options: SuiteOptions) {
    this.#options = options
  }

  get ownNamespace(): boolean {
    return this.#options.ownNamespace
  }

  async plugin(): Promise<NetworkPlugin> {
    this.#plugin ??= await this.#options.open(join(this.dir, 'root'))
    return this.#plugin
  }

  async restart(): Promise<NetworkPlugin> {
    await this.#plugin?.close()
    this.#plugin = undefined
    return await this.plugin()
  }

  /** A request for a fresh container. */
  async container(networkId: string, containerId: string): Promise<AddRequest> {
    const netnsPath = this.#options.ownNamespace ? join(this.dir, `${this.#pins.length}.ns`) : ''
    if (netnsPath !== '') {
      this.#pins.push(netnsPath)
      await createNetns(netnsPath)
    }
    return addRequest(networkId, containerId, netnsPath)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      const plugin = await this.plugin()
      for (const { id } of await plugin.listNetworks()) {
        await plugin.gc(id, [])
        await plugin.removeNetwork(id)
      }
      await plugin.close()
    } finally {
      // Whatever the plugin is able to: nothing of ours stays.
      for (const pin of this.#pins) await removeNetns(pin)
      rmSync(this.dir, { recursive: true, force: true })
    }
  }
}

export function addRequest(networkId: string, containerId: string, netnsPath: string): AddRequest {
  return {
    networkId,
    containerId,
    namespace: 'suite',
    netnsPath,
    interfaceName: 'eth0',
    addresses: [],
    mac: '',
    ports: [],
    aliases: [],
    defaultRoute: true,
    defaultRouteMetric: 0,
    links: {},
    options: {},
  }
}

/** A network with every choice left open; `digit` makes its id. */
export function openNetwork(digit: string, overrides: Partial<Network> = {}): Network {
  return {
    id: digit.repeat(64),
    name: `suite-${digit}`,
    subnets: [],
    mtu: 0,
    internal: false,
    options: {},
    labels: {},
    disableIpv4: false,
    disableIpv6: false,
    ...overrides,
  }
}

export function fails(code: ErrorCode, pattern = /./): (error: unknown) => boolean {
  return error => {
    assert.ok(isGantryError(error, code), `expected ${code}, got ${error}`)
    assert.match(error.message, pattern)
    return true
  }
}

type NetworkCheck = (subject: Subject, plugin: NetworkPlugin) => Promise<void>

/** The rules, by their text. */
export const networkChecks: Readonly<Record<string, NetworkCheck>> = {
  'a network is created once, and repeated with what was asked or answered': async (_, plugin) => {
    const asked = openNetwork('a')
    const made = await plugin.createNetwork(asked)
    assert.deepEqual(await plugin.createNetwork(asked), made)
    assert.deepEqual(await plugin.createNetwork(made), made)
    assert.deepEqual(await plugin.listNetworks(), [made])
    await assert.rejects(plugin.createNetwork({ ...asked, internal: true }), fails('ALREADY_EXISTS', /different/))
  },

  'a network goes when nobody is attached, and going twice is fine': async (subject, plugin) => {
    const { id } = await plugin.createNetwork(openNetwork('a'))
    const request = await subject.container(id, 'c1')
    await plugin.add(request)
    await assert.rejects(plugin.removeNetwork(id), fails('FAILED_PRECONDITION', /c1/))
    await plugin.del(request)
    await plugin.removeNetwork(id)
    await plugin.removeNetwork(id)
    assert.deepEqual(await plugin.listNetworks(), [])
    await assert.rejects(plugin.add(request), fails('NOT_FOUND', new RegExp(id)))
  },

  'add repeats its answer': async (subject, plugin) => {
    const { id } = await plugin.createNetwork(openNetwork('a'))
    const request = await subject.container(id, 'c1')
    const result = await plugin.add(request)
    assert.ok(result.interfaces.length > 0)
    assert.deepEqual(await plugin.add(request), result)
    await plugin.check({ ...request, previous: result })
  },

  'del is fine for what is not there, and without the namespace': async (subject, plugin) => {
    const { id } = await plugin.createNetwork(openNetwork('a'))
    const request = await subject.container(id, 'c1')
    await plugin.del(request)
    await plugin.add(request)
    if (request.netnsPath) await removeNetns(request.netnsPath)
    await plugin.del(request)
    await plugin.del({ ...request, netnsPath: '' })
    await plugin.del({ ...request, networkId: 'f'.repeat(64) })
    await assert.rejects(plugin.check(request), fails('NOT_FOUND', /c1/))
  },

  'a namespace that is not there is NOT_FOUND, and nothing stays': async (subject, plugin) => {
    if (!subject.ownNamespace) return
    const { id } = await plugin.createNetwork(openNetwork('a'))
    const request = await subject.container(id, 'c1')
    await assert.rejects(plugin.add({ ...request, netnsPath: '/nowhere/ns' }), fails('NOT_FOUND', /\/nowhere\/ns/))
    await assert.rejects(plugin.add({ ...request, netnsPath: '/proc/self/status' }), fails('NOT_FOUND', /status/))
    await plugin.removeNetwork(id)
  },

  'gc keeps what is named and removes the rest': async (subject, plugin) => {
    const { id } = await plugin.createNetwork(openNetwork('a'))
    const [kept, ended] = [await subject.container(id, 'kept'), await subject.container(id, 'ended')]
    await plugin.add(kept)
    await plugin.add(ended)
    const removed = await plugin.gc(id, [kept])
    assert.equal(removed.length, 1)
    assert.match(removed[0] ?? '', /ended/)
    await plugin.check(kept)
    await assert.rejects(plugin.check(ended), fails('NOT_FOUND'))
    assert.deepEqual(await plugin.gc(id, [kept]), [])
  },

  'everything is remembered over a restart': async (subject, plugin) => {
    const made = await plugin.createNetwork(openNetwork('a'))
    const request = await subject.container(made.id, 'c1')
    const result = await plugin.add(request)
    const again = await subject.restart()
    assert.deepEqual(await again.listNetworks(), [made])
    assert.deepEqual(await again.createNetwork(made), made)
    assert.deepEqual(await again.add(request), result)
    await again.check(request)
    await again.status()
  },

  'many at once, and the same one twice at once': async (subject, plugin) => {
    const { id } = await plugin.createNetwork(openNetwork('a'))
    const requests = await Promise.all(Array.from({ length: 8 }, (_, i) => subject.container(id, `c${i}`)))
    const results = await Promise.all([...requests, ...requests].map(request => plugin.add(request)))
    assert.deepEqual(results.slice(0, 8), results.slice(8))
    if (subject.ownNamespace) {
      const own = results.slice(0, 8).map(({ interfaces }) => interfaces.at(-1)?.sandbox)
      assert.equal(new Set(own).size, 8)
    }
    await Promise.all(requests.map(request => plugin.del(request)))
    await plugin.removeNetwork(id)
  },
}

export function networkSuite(name: string, options: SuiteOptions): void {
  const skip = process.getuid?.() === 0 ? false : 'needs root'
  for (const [title, check] of Object.entries(networkChecks))
    test(`${name}: ${title}`, { skip }, async () => {
      await using subject = new Subject(options)
      await check(subject, await subject.plugin())
    })
}

/** Our bridge plugin as a process, asked over its socket; its containers are bare network namespaces. */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AddRequest, Network } from '#sdk/network.ts'
import { openNetwork } from '#sdk/network-suite.ts'
import {
  type Container,
  hostAddress,
  type PluginProcess,
  type World,
} from '../../../test/integration/networks-world.ts'
import type { Served, Side } from './side.ts'

const instance = 'be0c0001'
/** Ports of other containers begin here. */
const firstOther = 2000

export class Ours implements Side {
  readonly name = 'gantry'
  readonly world: World
  readonly plugin: PluginProcess
  readonly #networks: readonly [Network, Network]
  readonly #subject: AddRequest
  readonly #holder: Container
  readonly #server: ReturnType<typeof spawn>
  #published = 0

  private constructor(parts: {
    world: World
    plugin: PluginProcess
    networks: readonly [Network, Network]
    subject: AddRequest
    holder: Container
    server: ReturnType<typeof spawn>
  }) {
    this.world = parts.world
    this.plugin = parts.plugin
    this.#networks = parts.networks
    this.#subject = parts.subject
    this.#holder = parts.holder
    this.#server = parts.server
  }

  static async start(world: World): Promise<Ours> {
    const process_ = await world.plugin(instance)
    const { plugin } = process_
    const networks = [
      await plugin.createNetwork(openNetwork('a')),
      await plugin.createNetwork(openNetwork('b')),
    ] as const
    const holder = await world.attach(plugin, networks[0], 'holder')
    const port = { protocol: 'tcp', hostPort: 1080, containerPort: 80, hostIp: '', count: 1 }
    const { netns } = await world.attach(plugin, networks[0], 'server', [port])
    const pages = mkdtempSync(join(world.dir, 'pages-'))
    writeFileSync(join(pages, 'index.html'), 'page')
    const httpd = ['busybox', 'httpd', '-f', '-p', '80', '-h', pages]
    const server = spawn('nsenter', [`--net=${netns}`, ...httpd], { stdio: 'ignore' })
    const joined = await world.attach(plugin, networks[0], 'subject')
    const subject = { ...joined.request, networkId: networks[1].id, interfaceName: 'eth1' }
    return new Ours({ world, plugin: process_, networks, subject, holder, server })
  }

  async serve(): Promise<Served> {
    return { host: hostAddress, port: 1080, netns: this.world.outside }
  }

  async otherPorts(count: number): Promise<void> {
    if (count > this.#published) await this.#publish('tcp', firstOther + this.#published, count - this.#published)
    this.#published = Math.max(this.#published, count)
  }

  /** Milliseconds. */
  async #publish(protocol: string, hostPort: number, count: number): Promise<number> {
    const { networkId, containerId, interfaceName } = this.#holder.request
    const mapping = { protocol, hostPort, containerPort: hostPort, hostIp: '', count }
    const change = { networkId, containerId, interfaceName, publish: [mapping], unpublish: [] }
    const beforeMs = performance.now()
    await this.plugin.plugin.update?.(change)
    return performance.now() - beforeMs
  }

  async #unpublish(protocol: string, hostPort: number, count: number): Promise<void> {
    const { networkId, containerId, interfaceName } = this.#holder.request
    const mapping = { protocol, hostPort, containerPort: hostPort, hostIp: '', count }
    await this.plugin.plugin.update?.({ networkId, containerId, interfaceName, publish: [], unpublish: [mapping] })
  }

  /** Opens and closes a range of UDP ports; MiB that the plugin has grown by while it was open. */
  async range(count: number): Promise<{ openMs: number; cpuMs: number; mib: number }> {
    const [before, cpuBefore] = [this.#residentMib(), this.plugin.cpuMs()]
    const openMs = await this.#publish('udp', 30_000, count)
    const cpuMs = this.plugin.cpuMs() - cpuBefore
    const mib = this.#residentMib() - before
    await this.#unpublish('udp', 30_000, count)
    return { openMs, cpuMs, mib }
  }

  /** One UDP port more, and away again. */
  async onePort(): Promise<number> {
    const tookMs = await this.#publish('udp', 29_000, 1)
    await this.#unpublish('udp', 29_000, 1)
    return tookMs
  }

  async endpoint(): Promise<{ addMs: number; delMs: number }> {
    const { plugin } = this.plugin
    const startMs = performance.now()
    await plugin.add(this.#subject)
    const addMs = performance.now() - startMs
    const delStartMs = performance.now()
    await plugin.del(this.#subject)
    return { addMs, delMs: performance.now() - delStartMs }
  }

  async network(): Promise<{ createMs: number; removeMs: number }> {
    const { plugin } = this.plugin
    const startMs = performance.now()
    const { id } = await plugin.createNetwork(openNetwork('c'))
    const createMs = performance.now() - startMs
    const removeStartMs = performance.now()
    await plugin.removeNetwork(id)
    return { createMs, removeMs: performance.now() - removeStartMs }
  }

  /** Resident anonymous memory: files that are mapped come and go. */
  #residentMib(): number {
    const status = readFileSync(`/proc/${this.plugin.pid}/status`, 'utf8')
    return Number(/RssAnon:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) / 1024
  }

  stop(): void {
    this.#server.kill('SIGKILL')
  }

  get networks(): readonly Network[] {
    return this.#networks
  }
}

/**
 * A small internet of network namespaces, inside the test's own one (`inPrivateHost`): this process is the host,
 * `outside` is another machine on its wire (10.99.0.2; the host is 10.99.0.1), containers hang on a network plugin that runs as a
 * process of its own.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isGantryError } from '#api/errors/errors.ts'
import { NetworkPluginServiceDefinition } from '#api/gen/gantry/network/v1/network.ts'
import { type Channel, type Client, connect, createClient } from '#api/rpc/client.ts'
import { createNetns, removeNetns } from '#api/sys/sys.ts'
import type { AddRequest, Network, NetworkPlugin, PortMapping, Result } from '#sdk/network.ts'
import { networkPluginOver } from '#sdk/network-service.ts'
import { addRequest, openNetwork } from '#sdk/network-suite.ts'

const bridgeMain = fileURLToPath(new URL('../../plugins/networks/bridge/main.ts', import.meta.url))
const peerMain = fileURLToPath(new URL('networks-peer.ts', import.meta.url))

export const hostAddress = '10.99.0.1'
export const outsideAddress = '10.99.0.2'
export const hostAddress6 = 'fd99::1'
export const outsideAddress6 = 'fd99::2'

/** Runs a program to its end and answers what it printed. */
export function run(...[program = '', ...args]: string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** Where and how a plugin runs. */
export interface PluginPlace {
  /** The host that it runs on; absent: this one. */
  readonly netns?: string
  readonly config?: Readonly<Record<string, unknown>>
}

/** The plugin as a process that can be killed and started again. */
export class PluginProcess implements AsyncDisposable {
  readonly plugin: NetworkPlugin
  readonly client: Client<typeof NetworkPluginServiceDefinition>
  readonly #root: string
  readonly #instance: string
  readonly #netns: string | undefined
  readonly #config: string
  readonly #channel: Channel
  #child: ChildProcess | undefined

  constructor(root: string, instance: string, { netns, config = {} }: PluginPlace = {}) {
    this.#netns = netns
    this.#config = JSON.stringify(config)
    this.#root = root
    this.#instance = instance
    this.#channel = connect(`unix:${root}/s`)
    this.client = createClient(NetworkPluginServiceDefinition, this.#channel)
    this.plugin = networkPluginOver(this.client)
  }

  /** Path of its socket. */
  get address(): string {
    return `${this.#root}/s`
  }

  async start(): Promise<void> {
    const place = ['--address', `${this.#root}/s`, '--root', `${this.#root}/root`, '--instance', this.#instance]
    rmSync(`${this.#root}/s`, { force: true })
    const [program = '', ...rest] = [...enter(this.#netns), process.execPath, bridgeMain]
    this.#child = spawn(program, [...rest, ...place, '--config', this.#config, '--log-level', 'error'], {
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    await until(() => this.plugin.status().then(() => true, isNotUnavailable), 60_000)
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  /** CPU time the process has used: utime and stime of proc(5), in ticks of 10 ms. */
  cpuMs(): number {
    const stat = readFileSync(`/proc/${this.pid}/stat`, 'utf8')
    const [utime = 0, stime = 0] = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .slice(11, 13)
      .map(Number)
    return (utime + stime) * 10
  }

  /** SIGKILL by default. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise(resolve => child.once('exit', resolve))
    child.kill(signal)
    await ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill('SIGTERM')
    this.#channel.close()
  }
}

export interface Container {
  readonly id: string
  readonly netns: string
  readonly request: AddRequest
  readonly result: Result
  /** Without prefix length. */
  readonly address: string
}

export class World implements AsyncDisposable {
  readonly dir = mkdtempSync(join(tmpdir(), 'gtw-'))
  readonly outside = join(this.dir, 'outside')
  readonly #pins: string[] = []
  readonly #plugins: PluginProcess[] = []
  readonly #children: ChildProcess[] = []

  static async create(): Promise<World> {
    const world = new World()
    run('ip', 'link', 'set', 'lo', 'up')
    await world.namespace('outside')
    run('ip', 'link', 'add', 'wire0', 'type', 'veth', 'peer', 'name', 'wire1')
    run('nsenter', `--net=${world.outside}`, 'true')
    run('ip', 'link', 'set', 'wire1', 'netns', await world.#named(world.outside))
    run('ip', 'addr', 'add', `${hostAddress}/24`, 'dev', 'wire0')
    run('ip', 'addr', 'add', `${hostAddress6}/64`, 'dev', 'wire0', 'nodad')
    run('ip', 'link', 'set', 'wire0', 'up')
    world.in(world.outside, 'ip', 'addr', 'add', `${outsideAddress}/24`, 'dev', 'wire1')
    world.in(world.outside, 'ip', 'addr', 'add', `${outsideAddress6}/64`, 'dev', 'wire1', 'nodad')
    world.in(world.outside, 'ip', 'link', 'set', 'wire1', 'up')
    return world
  }

  /** ip-link(8) takes a process or a name for a namespace; a process we have. */
  async #named(netns: string): Promise<string> {
    const child = spawn('nsenter', [`--net=${netns}`, 'sleep', '60'], { stdio: 'ignore' })
    this.#children.push(child)
    const pid = String(child.pid)
    await until(() => run('readlink', `/proc/${pid}/ns/net`) !== run('readlink', '/proc/self/ns/net'))
    return pid
  }

  async namespace(name: string): Promise<string> {
    const path = join(this.dir, name)
    this.#pins.push(path)
    await createNetns(path)
    return path
  }

  async plugin(instance: string, place: PluginPlace = {}): Promise<PluginProcess> {
    const root = mkdtempSync(join(this.dir, 'p-'))
    const plugin = new PluginProcess(root, instance, place)
    this.#plugins.push(plugin)
    await plugin.start()
    return plugin
  }

  /** A container on a network, attached. */
  async attach(plugin: NetworkPlugin, network: Network, id: string, ports: PortMapping[] = []): Promise<Container> {
    const request = { ...(await this.wish(network, id)), ports }
    const result = await plugin.add(request)
    const address = result.ips[0]?.address.split('/')[0] ?? ''
    return { id, netns: request.netnsPath, request, result, address }
  }

  /** A request for a fresh container. */
  async wish(network: Network, id: string): Promise<AddRequest> {
    return addRequest(network.id, id, await this.namespace(`${id}-${this.#pins.length}`))
  }

  /** Runs a program in a namespace. */
  in(netns: string, ...argv: string[]): string {
    return run('nsenter', `--net=${netns}`, ...argv)
  }

  /** Listens in a namespace and answers every connection with the client's address; udp datagrams too. */
  async serve(netns: string, port: number): Promise<void> {
    const argv = [`--net=${netns}`, process.execPath, peerMain, 'serve', String(port)]
    const child = spawn('nsenter', argv, { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#children.push(child)
    await new Promise(resolve => child.stdout?.once('data', resolve))
  }

  /** Starts a peer (networks-peer.ts) that stays; `say` sends it a line and answers what it prints next. */
  async start(netns: string | undefined, ...argv: string[]): Promise<Peer> {
    const [program = '', ...rest] = [...enter(netns), process.execPath, peerMain, ...argv]
    const child = spawn(program, rest, {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#children.push(child)
    const printed = () =>
      new Promise<string>(resolve => child.stdout.once('data', text => resolve(String(text).trim())))
    await printed()
    const say = (line: string) => {
      const answer = printed()
      child.stdin.write(line)
      return answer
    }
    const stop = () => void child.kill('SIGKILL')
    return { say, stop, [Symbol.dispose]: stop }
  }

  /** Takes what a pouring peer sends for a while; answers the rate in Mbit/s. */
  async drain(netns: string | undefined, host: string, port: number, durationMs: number): Promise<string> {
    return run(...enter(netns), process.execPath, peerMain, 'drain', host, String(port), String(durationMs)).trim()
  }

  /** The address that the server at `host:port` sees when asked from a namespace (absent: from the host), or why it is not reached. */
  ask(netns: string | undefined, protocol: 'tcp' | 'udp', host: string, port: number): string {
    return run(...enter(netns), process.execPath, peerMain, 'ask', protocol, host, String(port)).trim()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const plugin of this.#plugins) await plugin[Symbol.asyncDispose]()
    for (const child of this.#children) child.kill('SIGKILL')
    for (const pin of this.#pins) await removeNetns(pin)
    await until(() => !run('ip', '-br', 'link').includes('wire0'), 5000).catch(() => run('ip', 'link', 'del', 'wire0'))
    rmSync(this.dir, { recursive: true })
  }
}

function enter(netns: string | undefined): string[] {
  return netns === undefined ? [] : ['nsenter', `--net=${netns}`]
}

export interface Peer extends Disposable {
  say(line: string): Promise<string>
  stop(): void
}

/** What the kernel holds of links, firewall, routes and addresses: equal before and after. */
export function kernelState(): string {
  const links = run('ip', '-o', 'link')
    .split('\n')
    .map(line => line.split(':')[1]?.trim())
    .filter(name => name && !name.startsWith('wire0'))
  return [
    links.sort().join(' '),
    run('nft', 'list', 'ruleset'),
    sorted(run('ip', 'route')),
    sorted(run('ip', '-6', 'route', 'show', 'table', 'main')),
    sorted(run('ip', '-4', '-o', 'addr').replace(/^\d+: /gm, '')),
    sorted(run('ip', '-6', '-o', 'addr', 'show', 'scope', 'global').replace(/^\d+: /gm, '')),
  ].join('\n---\n')
}

function sorted(lines: string): string {
  return lines
    .split('\n')
    .filter(line => !line.startsWith('fe80'))
    .sort()
    .join('\n')
}

/** Holds a TCP port of the host, as a foreign program would. */
export function listen(port: number, host = '0.0.0.0'): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(socket => socket.end('foreign'))
    server.once('error', reject).listen({ port, host }, () => resolve(server))
  })
}

/** A process that refuses is there; one that does not answer is not, yet. */
function isNotUnavailable(error: unknown): boolean {
  return !isGantryError(error, 'UNAVAILABLE')
}

export async function until(condition: () => boolean | Promise<boolean>, timeoutMs = 20_000): Promise<void> {
  for (const deadline = Date.now() + timeoutMs; !(await condition()); ) {
    assert.ok(Date.now() < deadline, `not within ${timeoutMs} ms: ${condition}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

export { openNetwork }

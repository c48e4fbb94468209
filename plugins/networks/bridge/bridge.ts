/**
 * The bridge network plugin: containers behind a Linux bridge, with addresses of a private subnet, masqueraded to the
 * outside, reached from there by published ports.
 *
 * - `config.ts` what users set; `options.ts` what a network's creator sets
 * - `ledger.ts` what was handed out, durably; `subnets.ts`, `addresses.ts`, `host-ports.ts` how it is chosen
 * - `networks.ts`, `attachments.ts` the two lives; `bridge-link.ts`, `endpoint.ts` their kernel objects
 * - `dns/` the containers' names; `link-watch.ts` bridges that others take away; `sweep.ts` what belongs to nobody
 */
import { join } from 'node:path'
import { KeyedLock } from '#api/concurrency/keyed-lock.ts'
import { openStore } from '#api/store/store.ts'
import { defineNetwork, type NetworkEnv } from '#sdk/define-network.ts'
import type { Firewall } from '#sdk/iptables-wrapper/firewall.ts'
import { openEgressFilter, openFirewall, openRedirect } from '#sdk/iptables-wrapper/open-firewall.ts'
import type {
  AddRequest,
  Attachment,
  CheckRequest,
  DelRequest,
  GcOptions,
  Network,
  NetworkPlugin,
  Result,
  TraceRequest,
  TraceResponse,
  UpdateRequest,
} from '#sdk/network.ts'
import { Attachments } from './attachments.ts'
import { type BridgeConfig, configSchema, parseConfig } from './config.ts'
import { Resolvers } from './dns/resolvers.ts'
import { Guards } from './egress/guards.ts'
import { endpointOptionKeys } from './endpoint-options.ts'
import { HostPorts } from './host-ports.ts'
import { describe, Ledger, textOf } from './ledger.ts'
import { LinkWatch } from './link-watch.ts'
import { LoopbackRelay } from './loopback/loopback-relay.ts'
import { BridgeNetworks, firewallNetwork } from './networks.ts'
import { Sweeps } from './sweep.ts'
import { trace } from './trace.ts'

export const bridge = defineNetwork({
  id: 'bridge',
  version: '0.1.0',
  capabilities: ['port-map', 'mac', 'static-address', 'ipv6', 'update', 'names', 'bandwidth', 'check', 'gc'],
  parseConfig,
  configSchema,
  async create(env) {
    const network = new BridgeNetwork(env)
    await network.resume()
    return network
  },
})

export class BridgeNetwork implements NetworkPlugin {
  readonly endpointOptions = Object.values(endpointOptionKeys)
  readonly #env: NetworkEnv<BridgeConfig>
  readonly #ledger: Ledger
  readonly #firewall: Firewall
  readonly #networks: BridgeNetworks
  readonly #attachments: Attachments
  readonly #lock = new KeyedLock()
  readonly #watches = new DisposableStack()
  readonly #resolvers: Resolvers
  readonly #relay: LoopbackRelay
  readonly #guards: Guards
  readonly #sweeps: Sweeps

  constructor(env: NetworkEnv<BridgeConfig>) {
    const { config, instance, log } = env
    const ledger = new Ledger(openStore(join(env.root, 'ledger')))
    const state = () => ({
      networks: ledger.networks().map(firewallNetwork),
      ports: ledger.attachments().flatMap(({ ports }) => ports),
    })
    const firewall = openFirewall({ backend: config.firewall, instance, state, log })
    const hostPorts = new HostPorts({ range: config.randomPorts, foreignPorts: () => firewall.foreignPorts() })
    for (const row of ledger.attachments()) hostPorts.restore(row.ports, describe(row))
    const networks = new BridgeNetworks({ env, ledger, firewall })
    this.#env = env
    this.#ledger = ledger
    this.#firewall = firewall
    this.#networks = networks
    const guards = new Guards({
      ledger,
      openFilter: state => openEgressFilter({ backend: config.firewall, instance, state, log }),
    })
    this.#guards = guards
    this.#watches.use(guards.watch())
    const resolvers = new Resolvers({ ledger, log, gate: guards, redirect: openRedirect(config.firewall) })
    const relay = new LoopbackRelay(log)
    this.#relay = relay
    this.#resolvers = resolvers
    this.#attachments = new Attachments({
      env,
      ledger,
      firewall,
      networks,
      hostPorts,
      listener: resolvers,
      relay,
      guards,
    })
    this.#sweeps = new Sweeps({
      ...{ instance, ledger, firewall, guards, log },
      isLeaving: hostLink => this.#attachments.isLeaving(hostLink),
      detach: row => this.#detach(row),
    })
    this.#attachments.resumeRemovals()
    this.#watches.use(firewall.watch())
    this.#watches.use(
      new LinkWatch({
        networkOf: bridge => networks.withBridge(bridge),
        isWhole: id => networks.isWhole(id),
        repair: id => this.#lock.run('networks', () => this.#repair(id)),
        log,
      }),
    )
  }

  /** What containers have had since an earlier process works again when this resolves, what it had half done included. */
  async resume(): Promise<void> {
    await this.#restoreRules()
    const ports = this.#ledger.attachments().flatMap(row => row.ports)
    await this.#guards.resume()
    await Promise.all([this.#resolvers.resume(), this.#relay.open(ports)])
  }

  createNetwork(network: Network): Promise<Network> {
    return this.#lock.run('networks', () => this.#networks.create(network))
  }

  removeNetwork(networkId: string): Promise<void> {
    return this.#lock.run('networks', () => this.#networks.remove(networkId))
  }

  async listNetworks(): Promise<Network[]> {
    return this.#ledger.networks().map(({ network }) => network)
  }

  add(request: AddRequest): Promise<Result> {
    return this.#lock.run(textOf(request), () => this.#attachments.add(request))
  }

  del(request: DelRequest): Promise<void> {
    return this.#detach(request)
  }

  update(request: UpdateRequest): Promise<Result> {
    return this.#lock.run(textOf(request), () => this.#attachments.update(request))
  }

  trace({ networkId, containerId, interfaceName, ...target }: TraceRequest): Promise<TraceResponse> {
    const key = { networkId, containerId, interfaceName }
    return this.#lock.run('trace', () => trace(this.#attachments.get(key), target, this.#env.instance))
  }

  check(request: CheckRequest): Promise<void> {
    return this.#lock.run(textOf(request), () => this.#attachments.check(request))
  }

  async status(): Promise<void> {
    await this.#firewall.ports()
  }

  async gc(networkId: string, valid: readonly Attachment[], { dryRun = false }: GcOptions = {}): Promise<string[]> {
    const keep = new Set(valid.map(attachment => textOf({ ...attachment, networkId })))
    const ended = this.#ledger.attachments(networkId).filter(row => !keep.has(textOf(row)))
    const lines = ended.map(row => `attachment of ${describe(row)}`)
    // What is on its way out is nobody's leftover.
    await this.#attachments.settled()
    if (dryRun) return [...lines, ...(await this.#sweeps.look())]
    for (const row of ended) await this.#detach(row)
    const removed = [...lines, ...(await this.#sweeps.run())]
    for (const line of removed) this.#env.log.info({ networkId, removed: line }, 'garbage removed')
    return removed
  }

  async close(): Promise<void> {
    this.#watches.dispose()
    this.#resolvers.close()
    this.#relay.closeAll()
    await this.#attachments.settled()
    await this.#networks.retire().catch(error => this.#env.log.warn({ err: error }, 'idle networks stay in the kernel'))
    await this.#ledger.close()
  }

  /** A process that died between its ledger and the rules left them different. The next verb tries again what fails here. */
  async #restoreRules(): Promise<void> {
    if (this.#ledger.attachments().length === 0) return
    await this.#firewall.restore().catch(error => this.#env.log.error({ err: error }, 'no firewall rules'))
  }

  async #repair(networkId: string): Promise<void> {
    if (this.#ledger.network(networkId) === undefined) return
    this.#networks.forget(networkId)
    await this.#attachments.rejoinAll(networkId)
  }

  #detach(key: Pick<DelRequest, 'networkId' | 'containerId' | 'interfaceName'>): Promise<void> {
    return this.#lock.run(textOf(key), async () => {
      const row = this.#ledger.attachment(key)
      if (row) await this.#attachments.del(row)
    })
  }
}

/** The life of an attachment: written down, made, changed, undone. */
import { failedPrecondition, messageOf, notFound } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import { isSysError } from '#api/sys/sys.ts'
import { step } from '#api/trace/spans.ts'
import type { NetworkEnv } from '#sdk/define-network.ts'
import { type Firewall, singlePorts } from '#sdk/iptables-wrapper/firewall.ts'
import type { AddRequest, CheckRequest, Result, UpdateRequest } from '#sdk/network.ts'
import { findLink, type LinkInfo } from '#sdk/rtnetlink/rtnetlink.ts'
import type { StepHook } from '#sdk/step-hook.ts'
import { Admission, refuseChange } from './admission.ts'
import { changeOf } from './changes.ts'
import type { BridgeConfig } from './config.ts'
import type { Guards } from './egress/guards.ts'
import {
  checkPlugged,
  type EndpointPlan,
  endpointPlan,
  type OpenNamespace,
  openNamespace,
  plug,
  rejoin,
} from './endpoint.ts'
import { rateLimits } from './endpoint-options.ts'
import type { HostPorts } from './host-ports.ts'
import type { AttachmentKey, AttachmentRow, Ledger } from './ledger.ts'
import type { LoopbackRelay } from './loopback/loopback-relay.ts'
import type { BridgeNetworks } from './networks.ts'
import { portText } from './port-text.ts'
import { applyRates } from './rates.ts'
import { Removals } from './removals.ts'
import { resultOf } from './result.ts'

/** Told of containers that come, change and go, when all else about them is in place. */
export interface AttachmentListener {
  attached(row: AttachmentRow): Promise<void>
  detached(row: AttachmentRow): void
}

export interface AttachmentsParts {
  readonly env: NetworkEnv<BridgeConfig>
  readonly ledger: Ledger
  readonly firewall: Firewall
  readonly networks: BridgeNetworks
  readonly hostPorts: HostPorts
  readonly listener: AttachmentListener
  readonly relay: LoopbackRelay
  readonly guards: Guards
}

export class Attachments {
  readonly #log: Logger
  readonly #step: StepHook
  readonly #ledger: Ledger
  readonly #firewall: Firewall
  readonly #networks: BridgeNetworks
  readonly #hostPorts: HostPorts
  readonly #admission: Admission
  readonly #removals: Removals
  readonly #listener: AttachmentListener
  readonly #relay: LoopbackRelay
  readonly #guards: Guards

  constructor({ env, ledger, firewall, networks, hostPorts, listener, relay, guards }: AttachmentsParts) {
    this.#log = env.log
    this.#step = env.step
    this.#ledger = ledger
    this.#firewall = firewall
    this.#networks = networks
    this.#hostPorts = hostPorts
    this.#removals = new Removals(ledger, guards, env)
    const { instance, step } = env
    this.#admission = new Admission({ instance, step, ledger, networks, hostPorts, removals: this.#removals })
    this.#listener = listener
    this.#relay = relay
    this.#guards = guards
  }

  /** See `NetworkPlugin.add`. One call per attachment at a time. */
  async add(request: AddRequest): Promise<Result> {
    const network = this.#networks.get(request.networkId)
    using namespace = step('open the namespace', () => openNamespace(request.netnsPath))
    const known = this.#ledger.attachment(request)
    if (known) refuseChange(known, request)
    const row = known ?? (await step('admit, take addresses and ports', () => this.#admission.admit(request, network)))
    try {
      const plan = endpointPlan(row, network)
      await step('set the guards', () => this.#guards.apply(row))
      // The firewall's side, the link's and the names' have nothing to do with each other.
      const [bridge] = await all(
        step('plug in the link', () => this.#plug(plan, namespace)),
        step('open the ports', () => this.#firewall.publish(row.ports)).then(() => this.#step('ports opened')),
        this.#relay.open(row.ports).then(() => this.#step('relay opened')),
        step('serve the names', () => this.#listener.attached(row)).then(() => this.#step('names served')),
      )
      this.#step('attached')
      return resultOf(plan, bridge)
    } catch (error) {
      await this.#rollBack(row, error)
      throw error
    }
  }

  /** See `NetworkPlugin.del`. Answers before the link is gone. */
  async del(row: AttachmentRow): Promise<void> {
    this.#listener.detached(row)
    this.#relay.close(row.ports)
    this.#step('names withdrawn')
    await step('close the ports', () => this.#firewall.unpublish(row.ports))
    this.#step('ports closed')
    this.#hostPorts.release(row.ports)
    const departure = this.#ledger.detach(row)
    this.#step('attachment forgotten')
    void this.#removals.remove(departure)
  }

  /** See `NetworkPlugin.update`. Recorded before ports open, and after they are closed. */
  async update(request: UpdateRequest): Promise<Result> {
    const row = this.get(request)
    const network = this.#networks.get(row.networkId)
    const change = await changeOf(row, request, network.network, this.#hostPorts)
    const plan = endpointPlan(change.row, network)
    try {
      this.#ledger.change(change.row)
      this.#step('change recorded')
      await this.#guards.apply(change.row)
      await all(
        this.#firewall.publish(change.opened),
        this.#relay.open(change.opened),
        // The link's part of it is a switch: whether there are any.
        row.ports.length > 0 !== change.row.ports.length > 0 ? this.#rejoin(plan) : Promise.resolve(),
      )
      this.#step('new ports opened')
    } catch (error) {
      this.#ledger.change(row)
      await this.#guards.apply(row)
      this.#relay.close(change.opened)
      await this.#firewall.unpublish(change.opened)
      this.#hostPorts.release(change.opened)
      throw error
    }
    this.#relay.close(change.closed)
    await this.#firewall.unpublish(change.closed)
    this.#step('old ports closed')
    this.#hostPorts.release(change.closed)
    await applyRates(change.row, rateLimits(row.options))
    this.#step('link changed')
    await this.#listener.attached(change.row)
    this.#step('names changed')
    return resultOf(plan, await this.#networks.bridge(network))
  }

  async check(request: CheckRequest): Promise<void> {
    const row = this.get(request)
    const network = this.#networks.get(row.networkId)
    const bridge = await findLink(network.bridge)
    await checkPlugged(endpointPlan(row, network), bridge, request.netnsPath || row.netnsPath)
    const open = row.ports.length === 0 ? new Set() : new Set((await this.#firewall.ports()).map(portText))
    const closed = singlePorts(row.ports).find(port => !open.has(portText(port)))
    if (closed)
      throw failedPrecondition(
        `attachment of ${row.containerId}: host port ${closed.hostPort}/${closed.protocol} is not open`,
      )
  }

  /** Puts what is left of a network's links into its bridge, after that was made again. */
  async rejoinAll(networkId: string): Promise<void> {
    const network = this.#networks.get(networkId)
    const { index } = await this.#networks.bridge(network)
    for (const row of this.#ledger.attachments(networkId))
      await rejoin(endpointPlan(row, network), index).catch(error =>
        this.#log.warn(
          { container: row.containerId, reason: messageOf(error) },
          'an interface is not back in its bridge',
        ),
      )
  }

  /** Whether the removal of that link is under way. */
  isLeaving(hostLink: string): boolean {
    return this.#removals.isRunning(hostLink)
  }

  /** Takes up removals that an earlier process left. */
  resumeRemovals(): void {
    this.#removals.resume()
  }

  /** Resolves when no removal is under way. */
  settled(): Promise<void> {
    return this.#removals.settled()
  }

  /** NOT_FOUND. */
  get(key: AttachmentKey): AttachmentRow {
    const row = this.#ledger.attachment(key)
    if (row) return row
    throw notFound(`attachment of container ${key.containerId} (${key.interfaceName}) to network ${key.networkId}`)
  }

  /** The link's part of what ports need. */
  async #rejoin(plan: EndpointPlan): Promise<void> {
    const { index } = await this.#networks.bridge(plan.network)
    await rejoin(plan, index).catch(error => {
      // The interface was taken away inside the container: there is nothing to set, and `check` says so.
      if (!isSysError(error, 'ENODEV')) throw error
    })
  }

  async #plug(plan: EndpointPlan, namespace: OpenNamespace): Promise<LinkInfo> {
    const bridge = await this.#networks.bridge(plan.network)
    const place = { namespace, step: this.#step, settled: () => this.settled() }
    try {
      await plug(plan, bridge.index, place)
      return bridge
    } catch (error) {
      const there = await findLink(bridge.name)
      if (there?.index === bridge.index) throw error
      this.#log.warn({ bridge: bridge.name }, 'bridge was removed by others, making it again')
      this.#networks.forget(plan.network.network.id)
      const again = await this.#networks.bridge(plan.network)
      await plug(plan, again.index, place)
      return again
    }
  }

  /** After a failed add nothing is left; what cannot be undone now stays a departure. */
  async #rollBack(row: AttachmentRow, reason: unknown): Promise<void> {
    this.#log.info({ container: row.containerId, reason: messageOf(reason) }, 'attachment failed, undoing it')
    this.#listener.detached(row)
    this.#relay.close(row.ports)
    await this.#firewall.unpublish(row.ports).catch(error => this.#log.error({ err: error }, 'closing ports failed'))
    this.#step('failed ports closed')
    this.#hostPorts.release(row.ports)
    const departure = this.#ledger.detach(row)
    this.#step('failed attachment forgotten')
    await this.#removals.remove(departure)
  }
}

/** All, and when one fails only after the others have ended: what is undone then must not be still in the making. */
async function all<A>(...promises: [Promise<A>, ...Promise<unknown>[]]): Promise<[A, ...unknown[]]> {
  await Promise.allSettled(promises)
  return await Promise.all(promises)
}

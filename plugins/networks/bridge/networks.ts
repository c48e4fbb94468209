/** The life of a bridge network: chosen, made, made again, removed. */
import { isDeepStrictEqual } from 'node:util'
import { alreadyExists, failedPrecondition, invalidArgument, notFound } from '#api/errors/errors.ts'
import type { Firewall, FirewallNetwork } from '#sdk/iptables-wrapper/firewall.ts'
import type { Network } from '#sdk/network.ts'
import { formatIpv4Subnet } from '#sdk/network-addresses.ts'
import type { PluginEnv } from '#sdk/plugin.ts'
import { findLink, type LinkInfo, listRoutes } from '#sdk/rtnetlink/rtnetlink.ts'
import { ensureBridge, foreignLink, mtuOfDefaultRoute, removeBridge } from './bridge-link.ts'
import type { BridgeConfig } from './config.ts'
import { describe, type Ledger, type NetworkRow } from './ledger.ts'
import { bridgeAlias, bridgeName } from './names.ts'
import { readOptions } from './options.ts'
import { chooseSubnet, planOf, type TakenSubnet } from './subnets.ts'

/** The gantryd with the default root and state: it alone may have names that people expect. */
const defaultInstance = '00000000'
/** How many attachments an error message names. */
const maxNamed = 10

export interface NetworksParts {
  readonly env: PluginEnv<BridgeConfig>
  readonly ledger: Ledger
  readonly firewall: Firewall
}

export class BridgeNetworks {
  readonly #env: PluginEnv<BridgeConfig>
  readonly #ledger: Ledger
  readonly #firewall: Firewall
  /** Bridges known to be whole, by network id; made again when one turns out not to be. */
  readonly #bridges = new Map<string, Promise<LinkInfo>>()

  constructor({ env, ledger, firewall }: NetworksParts) {
    this.#env = env
    this.#ledger = ledger
    this.#firewall = firewall
  }

  /** Creations run one after another: two must not choose the same subnet. */
  async create(asked: Network): Promise<Network> {
    const row = this.#known(asked) ?? (await this.#choose(asked))
    const isNew = this.#ledger.network(asked.id) === undefined
    if (isNew) this.#ledger.putNetwork(row)
    try {
      await this.#make(row)
    } catch (error) {
      if (isNew) await this.#rollBack(row)
      throw error
    }
    return row.network
  }

  async remove(id: string): Promise<void> {
    const row = this.#ledger.network(id)
    if (row === undefined) return
    const attached = this.#ledger.attachments(id)
    if (attached.length > 0)
      throw failedPrecondition(
        `network "${row.network.name}" has ${attached.length} containers attached: ${attached.slice(0, maxNamed).map(describe).join(', ')}`,
      )
    await this.#unmake(row)
    this.#ledger.removeNetwork(id)
  }

  /** NOT_FOUND. */
  get(id: string): NetworkRow {
    const row = this.#ledger.network(id)
    if (row === undefined) throw notFound(`network ${id}`)
    return row
  }

  /** The bridge of a network; it and the firewall's rules are made if they have not been since the plugin's start. */
  bridge(row: NetworkRow): Promise<LinkInfo> {
    return this.#bridges.get(row.network.id) ?? this.#make(row)
  }

  /**
   * Takes networks that nobody is attached to out of the kernel; they stay known, and their next use makes them again.
   * So a host where gantryd was stopped and nothing runs is as it was before.
   */
  async retire(): Promise<void> {
    const idle = this.#ledger.networks().filter(({ network }) => this.#ledger.attachments(network.id).length === 0)
    if (this.#ledger.attachments().length === 0) await this.#firewall.remove()
    for (const row of idle) await this.#unmake(row)
  }

  /** Told when the kernel does not know a bridge any more. */
  forget(id: string): void {
    this.#bridges.delete(id)
  }

  #make(row: NetworkRow): Promise<LinkInfo> {
    const making = this.#makeBoth(row)
    this.#bridges.set(row.network.id, making)
    making.catch(() => this.#bridges.delete(row.network.id))
    return making
  }

  async #makeBoth(row: NetworkRow): Promise<LinkInfo> {
    await this.#firewall.addNetwork(firewallNetwork(row))
    return await ensureBridge(row, this.#env.instance, this.#env.log)
  }

  /** After a failed creation: forgotten first, because whatever failed may fail again; a sweep finds the rest. */
  async #rollBack(row: NetworkRow): Promise<void> {
    this.#ledger.removeNetwork(row.network.id)
    await this.#unmake(row).catch(error => this.#env.log.error({ err: error }, 'undoing a network failed'))
  }

  async #unmake(row: NetworkRow): Promise<void> {
    this.forget(row.network.id)
    await this.#firewall.removeNetwork(firewallNetwork(row))
    const link = await findLink(row.bridge)
    if (link?.alias === bridgeAlias(this.#env.instance, row.network.id)) await removeBridge(row.bridge)
  }

  #known(asked: Network): NetworkRow | undefined {
    const row = this.#ledger.network(asked.id)
    if (row === undefined) return undefined
    if (isDeepStrictEqual(asked, row.asked) || isDeepStrictEqual(asked, row.network)) return row
    throw alreadyExists(`network ${asked.id} with a different configuration`)
  }

  async #choose(asked: Network): Promise<NetworkRow> {
    const { config, instance } = this.#env
    if (asked.enableIpv6) throw invalidArgument(`network "${asked.name}": enable_ipv6 is not implemented yet`)
    const options = readOptions(asked.options)
    const bridge = await this.#chooseName(asked, options.bridgeName)
    const spread = Number.parseInt(instance.slice(0, 6), 16)
    const subnet = chooseSubnet(asked.subnets, config.pools, await this.#takenSubnets(), spread)
    const mtu = asked.mtu || options.mtu || config.mtu || (await mtuOfDefaultRoute())
    const network = { ...asked, subnets: [subnet], mtu }
    return { network, asked, bridge, cursor: 0 }
  }

  /** A name somebody asked for must be free; the configured one for "bridge" is only a preference. */
  async #chooseName(asked: Network, wanted: string): Promise<string> {
    const preferred = wanted || (asked.name === 'bridge' ? this.#defaultName() : '')
    const used = this.#ledger.networks().some(({ bridge }) => bridge === preferred)
    const link = preferred === '' ? undefined : await findLink(preferred)
    if (preferred !== '' && !used && link === undefined) return preferred
    if (wanted !== '' && used) throw alreadyExists(`bridge "${wanted}" belongs to another network`)
    if (wanted !== '' && link) throw foreignLink(wanted, link)
    return bridgeName(this.#env.instance, this.#ledger.nextSequence())
  }

  #defaultName(): string {
    return this.#env.config.defaultBridgeName || (this.#env.instance === defaultInstance ? 'gantry0' : '')
  }

  async #takenSubnets(): Promise<TakenSubnet[]> {
    const own = this.#ledger.networks().map(({ network }) => ({
      subnet: planOf(network).subnet,
      by: `network "${network.name}"`,
    }))
    const routes = (await listRoutes())
      .filter(({ destination }) => destination.prefix > 0)
      .map(({ destination }) => ({ subnet: destination, by: `the host's route ${formatIpv4Subnet(destination)}` }))
    return [...own, ...routes]
  }
}

/** What the firewall needs to know of a network. */
export function firewallNetwork({ network, bridge }: NetworkRow): FirewallNetwork {
  const { masquerade, intraTraffic } = readOptions(network.options)
  return { bridge, subnet: planOf(network).subnet, internal: network.internal, masquerade, intraTraffic }
}

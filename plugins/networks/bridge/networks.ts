/** The life of a bridge network: chosen, made, made again, removed. */

import { readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { alreadyExists, failedPrecondition, invalidArgument, notFound } from '#api/errors/errors.ts'
import type { NetworkEnv } from '#sdk/define-network.ts'
import type { Firewall, FirewallNetwork } from '#sdk/iptables-wrapper/firewall.ts'
import type { Network } from '#sdk/network.ts'
import { type Family, familyOf, formatSubnet } from '#sdk/network-addresses.ts'
import { listRoutes, type RouteInfo } from '#sdk/rtnetlink/routes.ts'
import { findLink, type LinkInfo, listAddresses } from '#sdk/rtnetlink/rtnetlink.ts'
import { ensureBridge, foreignLink, mtuOfDefaultRoute, removeBridge } from './bridge-link.ts'
import { type BridgeConfig, privatePrefix, type SubnetPool } from './config.ts'
import { hasIpv6 } from './host-settings.ts'
import { describe, type Ledger, type NetworkRow } from './ledger.ts'
import { bridgeAlias, bridgeName, overlayName } from './names.ts'
import { readOptions } from './options.ts'
import { ensureOverlay, overlayMtu, refuseLoop, removeOverlay } from './overlay.ts'
import { checkedSubnet, checkTogether, freeSubnet, planOf, type TakenSubnet } from './subnets.ts'

/** The gantryd with the default root and state: it alone may have names that people expect. */
const defaultInstance = '00000000'
/** How many attachments an error message names. */
const maxNamed = 10

export interface NetworksParts {
  readonly env: NetworkEnv<BridgeConfig>
  readonly ledger: Ledger
  readonly firewall: Firewall
}

export class BridgeNetworks {
  readonly #env: NetworkEnv<BridgeConfig>
  readonly #ledger: Ledger
  readonly #firewall: Firewall
  /** Bridges known to be whole, by network id; made again when one turns out not to be. */
  readonly #bridges = new Map<string, Promise<LinkInfo>>()
  /** Of those bridges that are made, by network. */
  readonly #interfaces = new Map<string, number>()

  constructor({ env, ledger, firewall }: NetworksParts) {
    this.#env = env
    this.#ledger = ledger
    this.#firewall = firewall
  }

  /** Creations run one after another: two must not choose the same subnet. */
  async create(asked: Network): Promise<Network> {
    const row = this.#known(asked) ?? (await this.#choose(asked))
    const isNew = this.#ledger.network(asked.id) === undefined
    this.#env.step('network chosen')
    if (isNew) this.#ledger.putNetwork(row)
    this.#env.step('network recorded')
    try {
      await this.#make(row, isNew)
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
    this.#env.step('removal allowed')
    await this.#unmake(row)
    this.#ledger.removeNetwork(id)
    this.#env.step('network forgotten')
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

  /** The network whose bridge has that name, while it is (or is being) made; undefined: none of ours. */
  withBridge(name: string): string | undefined {
    const row = this.#ledger.networks().find(({ bridge, overlay }) => bridge === name || overlay === name)
    return row && this.#bridges.has(row.network.id) ? row.network.id : undefined
  }

  /** Whether the bridge is there, up, and has its addresses. */
  async isWhole(id: string): Promise<boolean> {
    const row = this.get(id)
    const link = await findLink(row.bridge)
    if (!link?.up) return false
    if (row.overlay && (await findLink(row.overlay))?.master !== link.index) return false
    const own = (await listAddresses()).filter(({ index }) => index === link.index).map(({ address }) => address)
    return planOf(row.network.subnets).every(({ gateway }) => own.includes(gateway))
  }

  /** Told when the kernel does not know a bridge any more. */
  forget(id: string): void {
    this.#bridges.delete(id)
    this.#interfaces.delete(id)
  }

  #make(row: NetworkRow, isNew = false): Promise<LinkInfo> {
    const making = this.#makeBoth(row, isNew)
    const { id } = row.network
    this.#bridges.set(id, making)
    making.then(
      ({ index }) => this.#bridges.get(id) === making && this.#interfaces.set(id, index),
      () => this.forget(id),
    )
    return making
  }

  async #makeBoth(row: NetworkRow, isNew: boolean): Promise<LinkInfo> {
    await this.#firewall.addNetwork(firewallNetwork(row))
    this.#env.step('network in the rules')
    const link = await ensureBridge(row, this.#env, isNew)
    await this.#span(row, link)
    return link
  }

  /** Joins the bridge to those of the network's other hosts. */
  async #span({ network, overlay: name }: NetworkRow, bridge: LinkInfo): Promise<void> {
    const { overlay, intraTraffic } = readOptions(network)
    if (overlay === undefined || name === undefined) return
    const alias = bridgeAlias(this.#env.instance, network.id)
    const wanted = { name, alias, bridge: bridge.index, mtu: network.mtu, isolated: !intraTraffic }
    await ensureOverlay(overlay, wanted)
    this.#env.step('overlay made')
  }

  /** After a failed creation: forgotten first, because whatever failed may fail again; a sweep finds the rest. */
  async #rollBack(row: NetworkRow): Promise<void> {
    this.#ledger.removeNetwork(row.network.id)
    this.#env.step('failed network forgotten')
    await this.#unmake(row).catch(error => this.#env.log.error({ err: error }, 'undoing a network failed'))
  }

  async #unmake(row: NetworkRow): Promise<void> {
    this.forget(row.network.id)
    await this.#firewall.removeNetwork(firewallNetwork(row))
    this.#env.step('network out of the rules')
    if (row.overlay) await removeOverlay(row.overlay)
    const link = await findLink(row.bridge)
    if (link?.alias === bridgeAlias(this.#env.instance, row.network.id)) await removeBridge(row.bridge)
    this.#env.step('bridge removed')
  }

  #known(asked: Network): NetworkRow | undefined {
    const row = this.#ledger.network(asked.id)
    if (row === undefined) return undefined
    if (isDeepStrictEqual(asked, row.asked) || isDeepStrictEqual(asked, row.network)) return row
    throw alreadyExists(`network ${asked.id} with a different configuration`)
  }

  async #choose(asked: Network): Promise<NetworkRow> {
    const { config } = this.#env
    const options = readOptions(asked)
    const bridge = await this.#chooseName(asked, options.bridgeName)
    const routes = await listRoutes({ besides: new Set(this.#interfaces.values()) })
    const subnets = await this.#chooseSubnets(asked, routes)
    const { overlay } = options
    if (overlay) refuseLoop(overlay, planOf(subnets))
    const widest = overlay ? overlayMtu(overlay) : config.mtu || mtuOfDefaultRoute(routes)
    const mtu = asked.mtu || options.mtu || (await widest)
    const joint = overlay && { overlay: overlayName(this.#env.instance, this.#ledger.nextSequence()) }
    return { network: { ...asked, subnets, mtu }, asked, bridge, ...joint, cursors: {} }
  }

  /** What was asked for, completed, and a subnet of our choice for each family without one. */
  async #chooseSubnets(asked: Network, routes: readonly RouteInfo[]): Promise<Network['subnets']> {
    const families = await familiesOf(asked)
    if (readOptions(asked).overlay && asked.subnets.length === 0)
      throw invalidArgument(`network "${asked.name}" spans several hosts: say its subnet, the same on each of them`)
    checkTogether(
      asked.subnets.filter(({ cidr }) => cidr !== ''),
      families,
    )
    const taken = this.#takenSubnets(routes)
    const spread = Number.parseInt(this.#env.instance.slice(0, 6), 16)
    const given = asked.subnets.filter(({ cidr }) => cidr !== '').map(subnet => checkedSubnet(subnet, taken))
    const chosen = readOptions(asked).overlay ? [] : families
    const lacking = chosen.filter(family => !given.some(({ cidr }) => familyOf(cidr) === family))
    return [...given, ...lacking.map(family => freeSubnet(family, this.#pools(), taken, spread))]
  }

  #pools(): readonly SubnetPool[] {
    const { pools } = this.#env.config
    return pools.some(({ base }) => base.family === 6)
      ? pools
      : [...pools, privatePrefix(this.#env.instance + machineId())]
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

  #takenSubnets(routes: readonly RouteInfo[]): TakenSubnet[] {
    const own = this.#ledger
      .networks()
      .flatMap(({ network }) =>
        planOf(network.subnets).map(({ subnet, cidr }) => ({ subnet, cidr, by: `network "${network.name}"` })),
      )
    const ours = new Set(own.map(({ cidr }) => cidr))
    const others = routes
      .map(({ destination }) => ({ subnet: destination, cidr: formatSubnet(destination) }))
      .filter(({ subnet, cidr }) => subnet.prefix > 0 && !ours.has(cidr))
    return [...own, ...others.map(({ subnet, cidr }) => ({ subnet, by: `the host's route ${cidr}` }))]
  }
}

/** What the firewall needs to know of a network. */
export function firewallNetwork({ network, bridge }: NetworkRow): FirewallNetwork {
  const { masquerade, intraTraffic } = readOptions(network)
  const subnets = planOf(network.subnets).map(({ subnet }) => subnet)
  return { bridge, subnets, internal: network.internal, masquerade, intraTraffic }
}

/** Both, unless told otherwise or the host has no IPv6. INVALID_ARGUMENT: neither. */
async function familiesOf({ name, disableIpv4, disableIpv6 }: Network): Promise<Family[]> {
  const has6 = await hasIpv6()
  const families = ([4, 6] as const).filter(family => (family === 4 ? !disableIpv4 : !disableIpv6 && has6))
  if (families.length > 0) return families
  throw invalidArgument(
    disableIpv4 && disableIpv6
      ? `network "${name}": disable_ipv4 and disable_ipv6 together leave no addresses`
      : `network "${name}": IPv6 is switched off on this host (net.ipv6.conf.all.disable_ipv6), so IPv4 is needed`,
  )
}

/** Differs from host to host; empty where there is none. */
function machineId(): string {
  try {
    return readFileSync('/etc/machine-id', 'utf8').trim()
  } catch {
    return ''
  }
}

/** A container's interface in the kernel: one end of a veth pair in its namespace, the other one in the bridge. */
import { closeSync, openSync } from 'node:fs'
import { alreadyExists, failedPrecondition, messageOf, notFound } from '#api/errors/errors.ts'
import { isSysError } from '#api/sys/sys.ts'
import { familyOf } from '#sdk/network-addresses.ts'
import { listRoutes } from '#sdk/rtnetlink/routes.ts'
import {
  addAddress,
  addDefaultRoute,
  createVeth,
  deleteLink,
  findLink,
  type LinkInfo,
  listAddresses,
  perform,
  performAndFind,
  type RtRequest,
  setBridgePort,
  setLinkUp,
  setMaster,
} from '#sdk/rtnetlink/rtnetlink.ts'
import type { StepHook } from '#sdk/step-hook.ts'
import { readEgress } from './egress/egress-list.ts'
import type { AttachmentRow, NetworkRow } from './ledger.ts'
import { readOptions } from './options.ts'
import { applyRates } from './rates.ts'
import { planOf } from './subnets.ts'

export interface EndpointPlan {
  readonly row: AttachmentRow
  readonly network: NetworkRow
  readonly addresses: readonly PlannedAddress[]
  /** Containers of the network must not reach one another. */
  readonly isolated: boolean
  /** It asks our name server: containers of the network find one another by name, or its names are guarded. */
  readonly hasNames: boolean
}

export interface PlannedAddress {
  readonly address: string
  readonly prefix: number
  readonly gateway: string
}

export function endpointPlan(row: AttachmentRow, network: NetworkRow): EndpointPlan {
  const { intraTraffic, names } = readOptions(network.network)
  const plans = planOf(network.network.subnets)
  const addresses = row.addresses.flatMap(({ address, subnet: cidr }) => {
    const plan = plans.find(candidate => candidate.cidr === cidr)
    return plan ? { address, prefix: plan.subnet.prefix, gateway: plan.gateway } : []
  })
  return { row, network, addresses, isolated: !intraTraffic, hasNames: names || readEgress(row.options) !== undefined }
}

/** A network namespace held open, so that links can be made in it. */
export interface OpenNamespace extends Disposable {
  readonly path: string
  readonly fd: number
}

/** NOT_FOUND: there is none. */
export function openNamespace(path: string): OpenNamespace {
  try {
    const fd = openSync(path, 'r')
    return { path, fd, [Symbol.dispose]: () => closeSync(fd) }
  } catch (cause) {
    throw notFound(`no network namespace at "${path}" (${messageOf(cause)})`, { cause })
  }
}

/** Where a container's end goes, and who is told of the steps there. */
export interface PlugPlace {
  readonly namespace: OpenNamespace
  readonly step: StepHook
  /** Resolves when links that are on their way out have gone: one of them may have the interface's name until then. */
  settled(): Promise<void>
}

/** Makes the interface, or what of it is missing. ENODEV: the bridge is gone. */
export async function plug(plan: EndpointPlan, bridge: number, place: PlugPlace): Promise<void> {
  const { namespace, step } = place
  const { row, addresses } = plan
  const where = { netns: namespace.path }
  const { peer } = await makePair(plan, bridge, place)
  step('link made')
  const requests = [
    setLinkUp(row.interfaceName),
    ...addresses.map(({ address, prefix }) => addAddress(peer, address, prefix)),
  ]
  if (row.defaultRoute) requests.push(...addresses.map(({ gateway }) => addDefaultRoute(gateway, peer, row.metric)))
  await perform(requests, where)
  step('link addressed')
  await applyRates(row)
  step('rates limited')
}

/** Answers the outer end. */
async function makePair(
  plan: EndpointPlan,
  bridge: number,
  { namespace, settled }: Omit<PlugPlace, 'step'>,
): Promise<LinkInfo> {
  const requests = pairRequests(plan, bridge, namespace)
  const { hostLink } = plan.row
  try {
    return await performAndFind(requests, hostLink)
  } catch (error) {
    if (isSysError(error, 'EINVAL') && error.seq === 1 && !(await isNamespace(namespace)))
      throw notFound(`"${namespace.path}" is not a network namespace`, { cause: error })
    if (!isSysError(error, 'EEXIST')) throw error
    const plugged = await pluggedLink(plan, bridge, namespace)
    if (plugged) return plugged
    await settled()
    await refuseForeign(plan, namespace)
    // Half of an earlier attempt: the link is named in our ledger, so it is ours to remove.
    await unplug(hostLink)
    return await performAndFind(requests, hostLink)
  }
}

function pairRequests({ row, network, isolated }: EndpointPlan, bridge: number, namespace: OpenNamespace): RtRequest[] {
  const { mtu } = network.network
  const peer = { name: row.interfaceName, mac: row.mac, mtu, netnsFd: namespace.fd }
  return [
    createVeth({ name: row.hostLink, master: bridge, mtu, peer }),
    // A container that connects to its own published port is answered through the port it came by.
    bridgePort(row, isolated),
  ]
}

function bridgePort(row: AttachmentRow, isolated: boolean): RtRequest {
  return setBridgePort(row.hostLink, { hairpin: row.ports.length > 0, isolated })
}

/** Puts the outer end into the bridge (again), with the settings that follow from its ports. ENODEV: it is gone. */
export async function rejoin({ row, isolated }: EndpointPlan, bridge: number): Promise<void> {
  await perform([setMaster(row.hostLink, bridge), setLinkUp(row.hostLink), bridgePort(row, isolated)])
}

async function isNamespace({ path }: OpenNamespace): Promise<boolean> {
  return findLink('lo', { netns: path }).then(
    () => true,
    () => false,
  )
}

/** The outer end, if both are as {@link makePair} makes them. */
async function pluggedLink(
  { row }: EndpointPlan,
  bridge: number,
  { path }: OpenNamespace,
): Promise<LinkInfo | undefined> {
  const [outer, inner] = await Promise.all([findLink(row.hostLink), findLink(row.interfaceName, { netns: path })])
  return outer?.master === bridge && inner?.mac === row.mac ? outer : undefined
}

async function refuseForeign({ row }: EndpointPlan, { path }: OpenNamespace): Promise<void> {
  const inner = await findLink(row.interfaceName, { netns: path })
  if (inner && inner.mac !== row.mac)
    throw alreadyExists(`interface "${row.interfaceName}" (${inner.mac}) in the namespace "${path}"`)
}

/** Removes the pair by its outer end; gone already: success. Takes the kernel some ten milliseconds. */
export async function unplug(hostLink: string): Promise<void> {
  await perform([deleteLink(hostLink)]).catch(error => {
    if (!isSysError(error, 'ENODEV')) throw error
  })
}

/** FAILED_PRECONDITION names what differs from what {@link plug} makes. */
export async function checkPlugged(
  { row, addresses }: EndpointPlan,
  bridge: LinkInfo | undefined,
  netns: string,
): Promise<void> {
  const differs = (what: string) => failedPrecondition(`attachment of ${row.containerId}: ${what}`)
  if (!bridge?.up) throw differs('the bridge is missing or down')
  const outer = await findLink(row.hostLink)
  if (outer === undefined) throw differs(`link "${row.hostLink}" is missing`)
  if (outer.master !== bridge.index) throw differs(`link "${row.hostLink}" is not in bridge "${bridge.name}"`)
  const where = { netns }
  const inner = await findLink(row.interfaceName, where)
  if (!inner?.up) throw differs(`interface "${row.interfaceName}" is missing or down`)
  if (inner.mac !== row.mac) throw differs(`interface "${row.interfaceName}" has MAC ${inner.mac}, not ${row.mac}`)
  const found = await listAddresses(where)
  const lacking = addresses.find(
    wanted => !found.some(({ index, address }) => index === inner.index && address === wanted.address),
  )
  if (lacking) throw differs(`interface "${row.interfaceName}" lacks the address ${lacking.address}`)
  const routes = row.defaultRoute ? await listRoutes(where) : []
  const unrouted = addresses.find(
    wanted => !routes.some(({ destination, gateway }) => destination.prefix === 0 && gateway === wanted.gateway),
  )
  if (row.defaultRoute && unrouted)
    throw differs(`no IPv${familyOf(unrouted.gateway)} default route via ${unrouted.gateway}`)
}

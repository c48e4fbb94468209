/**
 * What hangs on our own bridges and containers' links and follows from nothing: addresses that are no gateway of the
 * network, routes straight over the link to where the network is not, fixed neighbours that no container is, rate limits
 * that nobody asked for. Routes by way of a container are their makers': somebody's VPN, perhaps.
 */
import { isSysError } from '#api/sys/sys.ts'
import type { Leftover } from '#sdk/leftover.ts'
import { contains, formatSubnet, overlaps } from '#sdk/network-addresses.ts'
import {
  addressesOnLinks,
  fixedNeighboursOnLinks,
  type LinkAddress,
  type LinkNeighbour,
  type LinkQdisc,
  type LinkRoute,
  qdiscsOnLinks,
  routesOnLinks,
} from '#sdk/rtnetlink/on-links.ts'
import { listLinks, perform, type RtRequest } from '#sdk/rtnetlink/rtnetlink.ts'
import { endpointOptionKeys } from '../endpoint-options.ts'
import type { AttachmentRow, Ledger, NetworkRow } from '../ledger.ts'
import { planOf } from '../subnets.ts'

interface Hanging {
  readonly addresses: readonly LinkAddress[]
  readonly routes: readonly LinkRoute[]
  readonly neighbours: readonly LinkNeighbour[]
  readonly qdiscs: readonly LinkQdisc[]
}

export async function straysOnLinks(ledger: Ledger): Promise<Leftover[]> {
  const links = await listLinks()
  const hanging: Hanging = {
    addresses: await addressesOnLinks(),
    routes: await routesOnLinks(),
    neighbours: await fixedNeighboursOnLinks(),
    qdiscs: await qdiscsOnLinks(),
  }
  const indexOf = new Map(links.map(({ name, index }) => [name, index]))
  const [networks, attachments] = [ledger.networks(), ledger.attachments()]
  return [
    ...networks.flatMap(row => onBridge(row, indexOf.get(row.bridge), ledger, hanging)),
    ...attachments.flatMap(row => onContainerLink(row, indexOf.get(row.hostLink), hanging)),
  ]
}

function onBridge(row: NetworkRow, index: number | undefined, ledger: Ledger, hanging: Hanging): Leftover[] {
  const plans = planOf(row.network.subnets)
  const on = ({ index: other }: { index: number }) => other === index
  const isGateway = ({ address, prefix }: LinkAddress) =>
    plans.some(({ gateway, subnet }) => gateway === address && subnet.prefix === prefix)
  const isElsewhere = ({ gateway, isKernels, destination }: LinkRoute) =>
    gateway === undefined && !isKernels && !plans.some(({ subnet }) => overlaps(subnet, destination))
  const isNobody = ({ address }: LinkNeighbour) =>
    plans.some(({ subnet }) => contains(subnet, address)) && ledger.index(row.network.id).holder(address) === undefined
  const at = (what: string, remove: RtRequest) => leftover(`${what} on ${row.bridge}`, remove)
  return [
    ...hanging.addresses
      .filter(each => on(each) && !isGateway(each))
      .map(({ address, prefix, remove }) => at(`address ${address}/${prefix}`, remove)),
    ...hanging.routes
      .filter(each => on(each) && isElsewhere(each))
      .map(({ destination, remove }) => at(`route to ${formatSubnet(destination)}`, remove)),
    ...hanging.neighbours
      .filter(each => on(each) && isNobody(each))
      .map(({ address, remove }) => at(`neighbour ${address}`, remove)),
  ]
}

function onContainerLink(row: AttachmentRow, index: number | undefined, { qdiscs }: Hanging): Leftover[] {
  if (hasRateLimit(row)) return []
  return qdiscs
    .filter(qdisc => qdisc.index === index && !qdisc.isDefault)
    .map(({ kind, remove }) => leftover(`queueing discipline ${kind} on ${row.hostLink}`, remove))
}

function hasRateLimit({ options = {} }: AttachmentRow): boolean {
  const { rateIn, rateOut } = endpointOptionKeys
  return options[rateIn] !== undefined || options[rateOut] !== undefined
}

const gone = ['ENODEV', 'ENOENT', 'ESRCH', 'EADDRNOTAVAIL', 'EINVAL']

/** With an address go its routes: what is missing already when its turn comes was to go. */
function leftover(what: string, request: RtRequest): Leftover {
  const remove = () =>
    perform([request]).catch(error => {
      if (!isSysError(error) || !gone.includes(error.code)) throw error
    })
  return { what, remove }
}

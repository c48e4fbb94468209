/** Requests about addresses, routes and neighbours: ip-address(8), ip-route(8), ip-neighbour(8) as values. */
import { RouteProtocol, RouteScope, RouteType } from 'netlink/dist/rt/structs.js'
import { addressBytes, anyAddress, familyOf, formatSubnet, type IpSubnet, subnetOf } from '../network-addresses.ts'
import { macBytes } from './links.ts'
import { addressFamily, addressRequest, NLM_F, neighborRequest, RTM, type RtRequest, routeRequest } from './message.ts'

const RT_TABLE_MAIN = 254
const NUD_PERMANENT = { permanent: true } as const

/**
 * Idempotent: the same address again is success. The kernel adds the route to its subnet. An IPv6 address is usable
 * at once: whoever hands out addresses needs no duplicate detection.
 */
export function addAddress(index: number, address: string, prefix: number): RtRequest {
  const bytes = addressBytes(address)
  const family = addressFamily(address)
  const broadcast = familyOf(address) === 4 && prefix < 31 ? subnetOf(address, prefix).last : undefined
  const attrs = {
    address: bytes,
    local: bytes,
    ...(broadcast === undefined ? {} : { broadcast: Buffer.from(broadcast.toString(16).padStart(8, '0'), 'hex') }),
  }
  return addressRequest(
    NLM_F.create | NLM_F.replace,
    `add address ${address}/${prefix}`,
    { family, prefixlen: prefix, index, ...(familyOf(address) === 6 ? { flags: { nodad: true } } : {}) },
    attrs,
  )
}

/** Idempotent. ENETUNREACH, EHOSTUNREACH: the gateway is in no subnet of a link that is up. `metric`: the lowest wins. */
export function addDefaultRoute(gateway: string, index: number, metric = 0): RtRequest {
  return addRoute(subnetOf(anyAddress(familyOf(gateway)), 0), gateway, index, metric)
}

/** Idempotent: replaces a route to the same destination with the same metric. Without a gateway: directly on the link. */
export function addRoute(destination: IpSubnet, gateway: string | undefined, index: number, metric = 0): RtRequest {
  const to = formatSubnet(destination)
  const data = {
    family: addressFamily(to),
    dstLen: destination.prefix,
    table: RT_TABLE_MAIN,
    protocol: RouteProtocol.BOOT,
    scope: gateway === undefined && destination.family === 4 ? RouteScope.LINK : RouteScope.UNIVERSE,
    type: RouteType.UNICAST,
  }
  const attrs = {
    ...(destination.prefix === 0 ? {} : { dst: addressBytes(to.replace(/\/.*/, '')) }),
    ...(gateway === undefined ? {} : { gateway: addressBytes(gateway) }),
    ...(metric === 0 ? {} : { priority: metric }),
    oif: index,
  }
  return routeRequest(
    RTM.newRoute,
    NLM_F.create | NLM_F.replace,
    `add route ${to} via ${gateway ?? 'the link'}`,
    data,
    attrs,
  )
}

/** A fixed entry: nobody asks for this address on that link any more. Idempotent. */
export function addNeighbor(index: number, address: string, mac: string): RtRequest {
  const data = { family: addressFamily(address), ifindex: index, state: NUD_PERMANENT }
  const attrs = { dst: addressBytes(address), lladdr: macBytes(mac) }
  return neighborRequest(NLM_F.create | NLM_F.replace, `add neighbour ${address}`, data, attrs)
}

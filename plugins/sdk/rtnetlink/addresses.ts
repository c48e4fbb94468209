/** Requests about IPv4 addresses, routes and neighbours: ip-address(8), ip-route(8), ip-neighbour(8) as values. */
import { RouteProtocol, RouteScope, RouteType } from 'netlink/dist/rt/structs.js'
import { formatIpv4, formatIpv4Subnet, type Ipv4Subnet, ipv4Bytes, ipv4SubnetOf } from '../network-addresses.ts'
import { macBytes } from './links.ts'
import { AF_INET, addressRequest, NLM_F, neighborRequest, RTM, type RtRequest, routeRequest } from './message.ts'

const RT_TABLE_MAIN = 254
const NUD_PERMANENT = { permanent: true } as const

/** Idempotent: the same address again is success. The kernel adds the route to its subnet. */
export function addAddress(index: number, address: number, prefix: number): RtRequest {
  const bytes = ipv4Bytes(address)
  const attrs = {
    address: bytes,
    local: bytes,
    ...(prefix < 31 ? { broadcast: ipv4Bytes(ipv4SubnetOf(address, prefix).last) } : {}),
  }
  const what = `add address ${formatIpv4(address)}/${prefix}`
  return addressRequest(NLM_F.create | NLM_F.replace, what, { family: AF_INET, prefixlen: prefix, index }, attrs)
}

/** Idempotent. ENETUNREACH: the gateway is in no subnet of a link that is up. */
export function addDefaultRoute(gateway: number, index: number): RtRequest {
  return addRoute({ first: 0, last: 0xffffffff, prefix: 0 }, gateway, index)
}

/** Idempotent: replaces a route to the same destination. */
export function addRoute(destination: Ipv4Subnet, gateway: number, index: number): RtRequest {
  const data = {
    family: AF_INET,
    dstLen: destination.prefix,
    table: RT_TABLE_MAIN,
    protocol: RouteProtocol.BOOT,
    scope: RouteScope.UNIVERSE,
    type: RouteType.UNICAST,
  }
  const attrs = {
    ...(destination.prefix === 0 ? {} : { dst: ipv4Bytes(destination.first) }),
    gateway: ipv4Bytes(gateway),
    oif: index,
  }
  const what = `add route ${formatIpv4Subnet(destination)} via ${formatIpv4(gateway)}`
  return routeRequest(RTM.newRoute, NLM_F.create | NLM_F.replace, what, data, attrs)
}

/** A fixed entry: nobody asks for this address on that link any more. Idempotent. */
export function addNeighbor(index: number, address: number, mac: string): RtRequest {
  const data = { family: AF_INET, ifindex: index, state: NUD_PERMANENT }
  const attrs = { dst: ipv4Bytes(address), lladdr: macBytes(mac) }
  return neighborRequest(NLM_F.create | NLM_F.replace, `add neighbour ${formatIpv4(address)}`, data, attrs)
}

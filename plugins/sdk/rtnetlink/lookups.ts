/** What the kernel would do: `ip route get` and `ip neigh show` as values. */
import * as rt from 'netlink/dist/rt/structs.js'
import { addressBits, addressBytes, addressFromBytes, familyOf } from '../network-addresses.ts'
import { formatMac } from './links.ts'
import { addressFamily, NLM_F, neighborRequest, RTM, routeRequest } from './message.ts'
import { ask, type Where } from './rtnetlink.ts'

export interface ChosenRoute {
  readonly gateway: string | undefined
  readonly link: number | undefined
  /** The sender's address. */
  readonly source: string | undefined
}

/** ENETUNREACH: no route leads there; EHOSTUNREACH, EACCES, EINVAL: one that refuses does. */
export async function chosenRoute(destination: string, where: Where = {}): Promise<ChosenRoute> {
  const data = { family: addressFamily(destination), dstLen: addressBits(familyOf(destination)) }
  const what = `find the route to ${destination}`
  const [answer] = await ask([routeRequest(RTM.getRoute, 0, what, data, { dst: addressBytes(destination) })], where)
  const attrs = answer ? rt.parseRouteMessage(answer).attrs : {}
  const text = (bytes: Buffer | undefined) => (bytes === undefined ? undefined : addressFromBytes(bytes))
  return { gateway: text(attrs.gateway), link: attrs.oif, source: text(attrs.prefsrc) }
}

/** What is known of an address on a link: its MAC, or that nobody answered. Undefined: nobody has asked yet. */
export async function neighborState(
  link: number,
  address: string,
  where: Where = {},
): Promise<{ readonly mac: string | undefined; readonly states: readonly string[] } | undefined> {
  const request = neighborRequest(NLM_F.dump, 'list neighbours', { family: addressFamily(address) }, {})
  const answers = await ask([{ ...request, type: RTM.getNeighbor }], where)
  for (const answer of answers) {
    const { data, attrs } = rt.parseNeighborMessage(answer)
    if (data.ifindex !== link || attrs.dst === undefined || addressFromBytes(attrs.dst) !== address) continue
    const states = Object.entries(data.state ?? {}).flatMap(([name, isSet]) => (isSet === true ? name : []))
    return { mac: attrs.lladdr && formatMac(attrs.lladdr), states }
  }
  return undefined
}

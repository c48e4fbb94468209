/**
 * What hangs on links, each with the request that takes it away: the kernel accepts a dumped message as the wish to delete
 * what it describes. For those who look for leftovers; whoever makes an address knows how to name it.
 */
import * as rt from 'netlink/dist/rt/structs.js'
import { getString, parseAttributes } from 'netlink/dist/structs.js'
import { addressFromBytes, anyAddress, type Family, type IpSubnet, overlaps, subnetOf } from '../network-addresses.ts'
import { addressRequest, neighborRequest, RTM, type RtRequest, routeRequest } from './message.ts'
import { dump, type Where } from './rtnetlink.ts'

const RT_TABLE_MAIN = 254
const RT_SCOPE_LINK = 253
const NUD_PERMANENT = 0x80
/** fe80::/10 and ff00::/8 lie here. */
const linkScoped = subnetOf('fe00::', 7)
const ipFamilies: ReadonlyMap<number, Family> = new Map([
  [2, 4],
  [10, 6],
])
/** struct tcmsg (linux/rtnetlink.h): family, padding, link, handle, parent, info. */
const TCMSG_BYTES = 20
const TCA_KIND = 1
const NDMSG = { bytes: 12, index: 4, state: 8 } as const
const NDA_DST = 1

interface OnLink {
  /** Of the link. */
  readonly index: number
  readonly remove: RtRequest
}

export interface LinkAddress extends OnLink {
  readonly address: string
  readonly prefix: number
}

export interface LinkRoute extends OnLink {
  readonly destination: IpSubnet
  readonly gateway: string | undefined
  /** Who made it: RTPROT_KERNEL for those that come with an address. */
  readonly isKernels: boolean
}

export interface LinkNeighbour extends OnLink {
  readonly address: string
}

export interface LinkQdisc extends OnLink {
  /** `tbf`, `ingress`, `noqueue` … */
  readonly kind: string
  /** Made by the kernel with the link: it cannot be deleted. */
  readonly isDefault: boolean
}

/** Of both families; not those of one link alone (fe80::/10). */
export async function addressesOnLinks(where: Where = {}): Promise<LinkAddress[]> {
  const answers = await dump({ ...addressRequest(0, 'list addresses', {}, {}), type: RTM.getAddress }, where)
  return answers.flatMap(body => {
    const { data, attrs } = rt.parseAddressMessage(body)
    const bytes = attrs.local ?? attrs.address
    if (bytes === undefined || data.scope === RT_SCOPE_LINK) return []
    const [address, prefix] = [addressFromBytes(bytes), data.prefixlen ?? 0]
    const remove = deletion(RTM.delAddress, `delete address ${address}/${prefix}`, body)
    return [{ index: data.index ?? 0, address, prefix, remove }]
  })
}

/** Unicast routes of the table `main` that lead over one link. */
export async function routesOnLinks(where: Where = {}): Promise<LinkRoute[]> {
  const answers = await dump(routeRequest(RTM.getRoute, 0, 'list routes', {}, {}), where)
  return answers.flatMap(body => {
    const { data, attrs } = rt.parseRouteMessage(body)
    const family = ipFamilies.get(data.family ?? 0)
    if (family === undefined || attrs.oif === undefined || (attrs.table ?? data.table) !== RT_TABLE_MAIN) return []
    // Every IPv6 link has these by itself, for what is of one link alone.
    if (attrs.dst !== undefined && overlaps(subnetOf(addressFromBytes(attrs.dst), data.dstLen ?? 0), linkScoped))
      return []
    const destination = subnetOf(attrs.dst ? addressFromBytes(attrs.dst) : anyAddress(family), data.dstLen ?? 0)
    return [
      {
        index: attrs.oif,
        destination,
        gateway: attrs.gateway && addressFromBytes(attrs.gateway),
        isKernels: data.protocol === rt.RouteProtocol.KERNEL || data.protocol === 'KERNEL',
        remove: deletion(RTM.delRoute, 'delete route', body),
      },
    ]
  })
}

/** Entries that somebody wrote and that never expire. */
export async function fixedNeighboursOnLinks(where: Where = {}): Promise<LinkNeighbour[]> {
  const answers = await dump({ ...neighborRequest(0, 'list neighbours', {}, {}), type: RTM.getNeighbor }, where)
  return answers.flatMap(body => {
    const address = attributeOf(body, NDMSG.bytes, NDA_DST)
    if (!ipFamilies.has(body[0] ?? 0) || address === undefined) return []
    if ((body.readUInt16LE(NDMSG.state) & NUD_PERMANENT) === 0) return []
    const text = addressFromBytes(address)
    const remove = deletion(RTM.delNeighbor, `delete neighbour ${text}`, body)
    return [{ index: body.readInt32LE(NDMSG.index), address: text, remove }]
  })
}

/** Queueing disciplines at the root or the ingress of links. */
export async function qdiscsOnLinks(where: Where = {}): Promise<LinkQdisc[]> {
  const request = { type: RTM.getQdisc, flags: 0, what: 'list qdiscs', body: Buffer.alloc(TCMSG_BYTES) }
  return (await dump(request, where)).map(body => {
    const kind = getString(attributeOf(body, TCMSG_BYTES, TCA_KIND) ?? Buffer.from([0]))
    // Its handle and place name it; what it is set to would be compared with what is there.
    const remove = deletion(RTM.delQdisc, `delete qdisc ${kind}`, body.subarray(0, TCMSG_BYTES))
    return { index: body.readInt32LE(4), kind, isDefault: body.readUInt32LE(8) === 0, remove }
  })
}

function deletion(type: number, what: string, body: Buffer): RtRequest {
  return { type, flags: 0, what, body }
}

function attributeOf(body: Buffer, from: number, wanted: number): Buffer | undefined {
  let found: Buffer | undefined
  parseAttributes(body.subarray(from), ({ type, data }) => {
    if (type === wanted) found = data
  })
  return found
}

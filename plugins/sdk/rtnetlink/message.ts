/**
 * rtnetlink(7) messages as values. A {@link RtRequest} is one wish; `rtnetlink.ts` sends any number of them as one
 * datagram. Layouts come from npm's `netlink`; only its codecs are loaded (its sockets know no other
 * namespace, ours in api/sys do), by their own paths: its index loads the sockets' addon and three unused families.
 */
import * as rt from 'netlink/dist/rt/structs.js'
import { AttrStream, formatMessage, type StreamData } from 'netlink/dist/structs.js'
import { familyOf } from '../network-addresses.ts'

/** Message types and flags of linux/rtnetlink.h and linux/netlink.h that are used here. */
export const RTM = {
  newLink: 16,
  delLink: 17,
  getLink: 18,
  newAddress: 20,
  delAddress: 21,
  getAddress: 22,
  newRoute: 24,
  delRoute: 25,
  getRoute: 26,
  newNeighbor: 28,
  delNeighbor: 29,
  getNeighbor: 30,
  getRule: 34,
  delQdisc: 37,
  getQdisc: 38,
} as const
const NLM_F_REQUEST = 0x1
const NLM_F_ACK = 0x4
export const NLM_F = { replace: 0x100, exclusive: 0x200, create: 0x400, dump: 0x300 } as const

const AF_INET = 2
const AF_INET6 = 10

/** Of an address or a CIDR. */
export function addressFamily(text: string): number {
  return familyOf(text) === 4 ? AF_INET : AF_INET6
}

/** One request to the kernel, complete but for its sequence number. */
export interface RtRequest {
  readonly type: number
  /** Beside NLM_F_REQUEST and NLM_F_ACK. */
  readonly flags: number
  readonly body: Buffer
  /** For error messages: what it is to do, such as `create veth gt1v1`. */
  readonly what: string
}

export function linkRequest(
  type: number,
  flags: number,
  what: string,
  data: rt.Link,
  attrs: LinkAttributes,
): RtRequest {
  return { type, flags, what, body: encodeLink(data, attrs) }
}

export type LinkAttributes = Parameters<typeof rt.formatLinkMessage>[0]['attrs']

/** ifinfomsg and attributes; also what stands for the peer inside a veth's creation. */
export function encodeLink(data: rt.Link, attrs: LinkAttributes): Buffer {
  return collect(out => rt.formatLinkMessage({ kind: 'link', data, attrs }, out))
}

export function addressRequest(flags: number, what: string, data: rt.Address, attrs: rt.AddressAttrs): RtRequest {
  const body = collect(out => rt.formatAddressMessage({ kind: 'address', data, attrs }, out))
  return { type: RTM.newAddress, flags, what, body }
}

export function routeRequest(
  type: number,
  flags: number,
  what: string,
  data: rt.Route,
  attrs: rt.RouteAttrs,
): RtRequest {
  return { type, flags, what, body: collect(out => rt.formatRouteMessage({ kind: 'route', data, attrs }, out)) }
}

export function neighborRequest(flags: number, what: string, data: rt.Neighbor, attrs: rt.NeighborAttrs): RtRequest {
  const body = collect(out => rt.formatNeighborMessage({ kind: 'neighbor', data, attrs }, out))
  return { type: RTM.newNeighbor, flags, what, body }
}

/** Attributes one after another, each aligned. */
export function attributes(...pairs: readonly (readonly [type: number, data: StreamData])[]): Buffer {
  return collect(out => {
    for (const [type, data] of pairs) out.push(type, data)
  })
}

function collect(write: (out: AttrStream) => void): Buffer {
  const out = new AttrStream()
  write(out)
  return Buffer.concat(out.bufs)
}

/** The datagram; request `i` has sequence number `i + 1`. */
export function encodeDatagram(requests: readonly RtRequest[]): Buffer {
  return Buffer.concat(requests.flatMap((request, index) => encode(request, index + 1)))
}

function encode({ type, flags, body }: RtRequest, seq: number): Uint8Array[] {
  const ack = (flags & NLM_F.dump) === NLM_F.dump && type % 4 === 2 ? 0 : NLM_F_ACK
  const parts = formatMessage({ type, flags: flags | NLM_F_REQUEST | ack, seq, port: 0, data: body })
  const padding = -body.length & 3
  return padding === 0 ? parts : [...parts, Buffer.alloc(padding)]
}

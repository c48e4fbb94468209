/**
 * Links, addresses and routes of any network namespace, without starting a process: rtnetlink(7) typed.
 *
 * Changes are values (`createVeth`, `addAddress` …) that {@link perform} sends as **one** datagram: the kernel carries
 * them out in order, and one round trip answers all. It does not undo: when one fails the ones before it stay, and
 * those behind it are still tried.
 *
 * ```ts
 * await perform([createBridge({ name: 'gantry0' })])
 * const bridge = await findLink('gantry0')
 * await perform([addAddress(bridge.index, '172.30.0.1', 24)])
 * ```
 */
import * as rt from 'netlink/dist/rt/structs.js'
import { getString, parseAttributes } from 'netlink/dist/structs.js'
import { unavailable } from '#api/errors/errors.ts'
import { isSysError, netlinkRequest, type SysError } from '#api/sys/sys.ts'
import { addressFromBytes, anyAddress, type Family, type IpSubnet, overlaps, subnetOf } from '../network-addresses.ts'
import { formatMac, setLinkUp } from './links.ts'
import { addressRequest, encodeDatagram, linkRequest, NLM_F, RTM, type RtRequest, routeRequest } from './message.ts'

export { addAddress, addDefaultRoute, addNeighbor, addRoute } from './addresses.ts'
export {
  createBridge,
  createVeth,
  deleteLink,
  type LinkSettings,
  setAlias,
  setBridgePort,
  setLinkUp,
  setMaster,
  type VethSettings,
} from './links.ts'
export type { RtRequest } from './message.ts'
export { limitRate, unlimitRate } from './queues.ts'
export {
  createMacvlan,
  type MacvlanMode,
  type MacvlanSettings,
  macvlanModes,
} from './upper-links.ts'
export { addVxlanPeer, createVxlan, type VxlanSettings } from './vxlan.ts'

const NETLINK_ROUTE = 0
/** Of struct nlmsghdr. */
const HEADER_BYTES = 16
const RT_TABLE_LOCAL = 255
/** Offsets in struct rtmsg, and its length. */
const RTMSG_TABLE = 4
const RTMSG_PROTOCOL = 5
const RTMSG_BYTES = 12
const RTATTR_BYTES = 4
const RTA_OIF = 4
/** Made by the kernel itself, for an address (rtnetlink(7)). */
const RTPROT_KERNEL = 2
const RT_SCOPE_LINK = 253
/** AF_INET, AF_INET6. */
const ipFamilies: ReadonlyMap<number, Family> = new Map([
  [2, 4],
  [10, 6],
])
/** fe80::/10 and ff00::/8 lie here: addresses that mean something on one link only. */
const linkScoped = subnetOf('fe00::', 7)

/** Where to look or act; absent: the process' own network namespace. */
export interface Where {
  /** Path of a network namespace: a pin file, or `/proc/PID/ns/net`. */
  readonly netns?: string | undefined
}

export interface LinkInfo {
  readonly index: number
  readonly name: string
  /** `bridge`, `veth` …; empty for physical ones and `lo`. */
  readonly kind: string
  readonly mac: string
  readonly mtu: number
  readonly up: boolean
  /** IFLA_IFALIAS; empty: none. */
  readonly alias: string
  /** Index of the bridge it is in; 0: none. */
  readonly master: number
}

export interface AddressInfo {
  readonly index: number
  readonly address: string
  readonly prefix: number
}

export interface RouteInfo {
  readonly destination: IpSubnet
  readonly gateway: string | undefined
  /** Link index; undefined for blackholes and multipath routes. */
  readonly index: number | undefined
  /** The lowest is used. */
  readonly metric: number
}

/** Carries out all requests, in order. Rejects with the kernel's first refusal as a SysError whose message says of what. */
export async function perform(requests: readonly RtRequest[], where: Where = {}): Promise<void> {
  await ask(requests, where)
}

/** The bodies of a dump's answers: `request` is a GET, its flags are set here. */
export async function dump(request: RtRequest, where: Where = {}): Promise<Buffer[]> {
  return await ask([{ ...request, flags: NLM_F.dump }], where)
}

/** All links of a namespace. */
export async function listLinks(where: Where = {}): Promise<LinkInfo[]> {
  const answers = await ask([linkRequest(RTM.getLink, NLM_F.dump, 'list links', {}, {})], where)
  return answers.map(linkOf)
}

/** Undefined: there is none of that name. */
export async function findLink(name: string, where: Where = {}): Promise<LinkInfo | undefined> {
  try {
    const [answer] = await ask([linkRequest(RTM.getLink, 0, `find link ${name}`, {}, { ifname: name })], where)
    return answer && linkOf(answer)
  } catch (error) {
    if (isSysError(error, 'ENODEV')) return undefined
    throw error
  }
}

/** Undefined: there is none of that number. */
export async function findLinkAt(index: number, where: Where = {}): Promise<LinkInfo | undefined> {
  try {
    const [answer] = await ask([linkRequest(RTM.getLink, 0, `find link ${index}`, { index }, {})], where)
    return answer && linkOf(answer)
  } catch (error) {
    if (isSysError(error, 'ENODEV')) return undefined
    throw error
  }
}

/** Brings a link up and answers it as it is then, in one round trip. ENODEV: there is none. */
export async function raiseLink(name: string, where: Where = {}): Promise<LinkInfo> {
  const find = linkRequest(RTM.getLink, 0, `find link ${name}`, {}, { ifname: name })
  const [answer] = await ask([setLinkUp(name), find], where)
  if (answer === undefined) throw new Error(`the kernel found link ${name} and did not describe it`)
  return linkOf(answer)
}

/** All addresses of both families; not those that the kernel makes of a MAC (fe80::/10). */
export async function listAddresses(where: Where = {}): Promise<AddressInfo[]> {
  const dump = { ...addressRequest(NLM_F.dump, 'list addresses', {}, {}), type: RTM.getAddress }
  const answers = await ask([dump], where)
  return answers.flatMap(bytes => {
    const { data, attrs } = rt.parseAddressMessage(bytes)
    const address = attrs.local ?? attrs.address
    if (address === undefined || data.scope === RT_SCOPE_LINK) return []
    return [{ index: data.index ?? 0, address: addressFromBytes(address), prefix: data.prefixlen ?? 0 }]
  })
}

export interface RoutesWanted extends Where {
  /** Links whose own subnets, known to the caller, are left out. */
  readonly besides?: ReadonlySet<number>
}

/** Unicast routes of both families and every table but `local`; not those of link-local addresses and groups. */
export async function listRoutes({ besides = new Set(), ...where }: RoutesWanted = {}): Promise<RouteInfo[]> {
  const answers = await ask([routeRequest(RTM.getRoute, NLM_F.dump, 'list routes', {}, {})], where)
  return answers.flatMap(bytes => {
    // Most of a dump: not worth parsing.
    if (bytes.readUInt8(RTMSG_TABLE) === RT_TABLE_LOCAL) return []
    if (bytes.readUInt8(RTMSG_PROTOCOL) === RTPROT_KERNEL && besides.has(linkOfRoute(bytes))) return []
    const { data, attrs } = rt.parseRouteMessage(bytes)
    const family = ipFamilies.get(data.family ?? 0)
    if (family === undefined) return []
    const destination = subnetOf(attrs.dst ? addressFromBytes(attrs.dst) : anyAddress(family), data.dstLen ?? 0)
    if (family === 6 && overlaps(destination, linkScoped) && destination.prefix > 0) return []
    const gateway = attrs.gateway && addressFromBytes(attrs.gateway)
    return [{ destination, gateway, index: attrs.oif, metric: attrs.priority ?? 0 }]
  })
}

/** The interface of a route message; 0: it has none. */
function linkOfRoute(bytes: Buffer): number {
  for (let at = RTMSG_BYTES; at + RTATTR_BYTES <= bytes.length; ) {
    const length = bytes.readUInt16LE(at)
    if (bytes.readUInt16LE(at + 2) === RTA_OIF) return bytes.readUInt32LE(at + RTATTR_BYTES)
    // Attributes begin at multiples of four; one without a length would be read for ever.
    at += Math.max(RTATTR_BYTES, (length + 3) & ~3)
  }
  return 0
}

/** Carries out requests and answers their answers' bodies. */
export async function ask(requests: readonly RtRequest[], { netns }: Where): Promise<Buffer[]> {
  if (requests.length === 0) return []
  try {
    const answers = await netlinkRequest(NETLINK_ROUTE, encodeDatagram(requests), netns === undefined ? {} : { netns })
    return answers.map(answer => answer.subarray(HEADER_BYTES))
  } catch (error) {
    throw explain(error, requests)
  }
}

function explain(error: unknown, requests: readonly RtRequest[]): unknown {
  if (!isSysError(error) || error.seq === undefined) return error
  const failed = requests[error.seq - 1]
  if (failed && error.code === 'EOPNOTSUPP' && failed.what.startsWith('create ')) return missingModule(failed, error)
  if (failed) (error as SysError).message = `${failed.what}: ${error.message}`
  return error
}

/** RTM_NEWLINK of a kind that no module has registered. */
function missingModule({ what }: RtRequest, cause: SysError): Error {
  const [, kind = ''] = what.split(' ')
  return unavailable(
    `${what}: the kernel has no links of this kind; load its module (modprobe ${kind}), or use a kernel with it`,
    {
      cause,
    },
  )
}

/** Read by hand: the library would decode all fifty attributes of a link, statistics too. */
function linkOf(bytes: Buffer): LinkInfo {
  const header = rt.parseLink(bytes.subarray(0, rt.__LENGTH_Link))
  const found = new Map<number, Buffer>()
  parseAttributes(bytes.subarray(rt.__LENGTH_Link), ({ type, data }) => found.set(type, data))
  return {
    index: header.index ?? 0,
    name: text(found.get(IFLA.ifname)),
    kind: kindOf(found.get(IFLA.linkinfo)),
    mac: formatMac(found.get(IFLA.address) ?? Buffer.alloc(0)),
    mtu: found.get(IFLA.mtu)?.readUInt32LE() ?? 0,
    up: header.flags?.up ?? false,
    alias: text(found.get(IFLA.ifalias)),
    master: found.get(IFLA.master)?.readUInt32LE() ?? 0,
  }
}

const IFLA = { address: 1, ifname: 3, mtu: 4, master: 10, linkinfo: 18, ifalias: 20 } as const
const IFLA_INFO_KIND = 1

function kindOf(linkinfo: Buffer | undefined): string {
  let kind = ''
  parseAttributes(linkinfo ?? Buffer.alloc(0), ({ type, data }) => {
    if (type === IFLA_INFO_KIND) kind = text(data)
  })
  return kind
}

function text(bytes: Buffer | undefined): string {
  return bytes === undefined ? '' : bytes.at(-1) === 0 ? getString(bytes) : bytes.toString()
}

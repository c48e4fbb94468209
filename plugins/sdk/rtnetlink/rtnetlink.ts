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
import { addressFromBytes } from '../network-addresses.ts'
import { formatMac, setLinkUp } from './links.ts'
import { addressRequest, encodeDatagram, linkRequest, NLM_F, RTM, type RtRequest } from './message.ts'

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
const RT_SCOPE_LINK = 253

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
  /** Index of a veth's other end, in the namespace of that; of the link that another one stands on; 0: none. */
  readonly peer: number
}

export interface AddressInfo {
  readonly index: number
  readonly address: string
  readonly prefix: number
}

/** Carries out all requests, in order. Rejects with the kernel's first refusal as a SysError whose message says of what. */
export async function perform(requests: readonly RtRequest[], where: Where = {}): Promise<void> {
  await ask(requests, where)
}

/** The bodies of a dump's answers: `request` is a GET, its flags are set here. `strict`: what it names is all that is dumped. */
export async function dump(request: RtRequest, where: Where & { strict?: boolean } = {}): Promise<Buffer[]> {
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

/** Carries out requests and answers the link of that name as it is then, in one round trip. ENODEV: there is none. */
export async function performAndFind(
  requests: readonly RtRequest[],
  name: string,
  where: Where = {},
): Promise<LinkInfo> {
  const find = linkRequest(RTM.getLink, 0, `find link ${name}`, {}, { ifname: name })
  const [answer] = await ask([...requests, find], where)
  if (answer === undefined) throw new Error(`the kernel found link ${name} and did not describe it`)
  return linkOf(answer)
}

/** Brings a link up and answers it as it is then. ENODEV: there is none. */
export function raiseLink(name: string, where: Where = {}): Promise<LinkInfo> {
  return performAndFind([setLinkUp(name)], name, where)
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

/** Carries out requests and answers their answers' bodies. */
export async function ask(
  requests: readonly RtRequest[],
  { netns, strict = false }: Where & { strict?: boolean },
): Promise<Buffer[]> {
  if (requests.length === 0) return []
  try {
    const options = { strict, ...(netns === undefined ? {} : { netns }) }
    const answers = await netlinkRequest(NETLINK_ROUTE, encodeDatagram(requests), options)
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
    peer: found.get(IFLA.link)?.readUInt32LE() ?? 0,
  }
}

const IFLA = { address: 1, ifname: 3, mtu: 4, link: 5, master: 10, linkinfo: 18, ifalias: 20 } as const
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

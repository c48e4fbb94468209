/** Requests about links: ip-link(8) as values. */
import { putString, putU8 } from 'netlink/dist/structs.js'
import { attributes, encodeLink, type LinkAttributes, linkRequest, NLM_F, RTM, type RtRequest } from './message.ts'

/** Attributes inside IFLA_LINKINFO, and of its data for our kinds (linux/if_link.h). */
const INFO = { kind: 1, data: 2, slaveKind: 4, slaveData: 5 } as const
const VETH_INFO_PEER = 1
const BRPORT = { mode: 4, isolated: 33 } as const

/** What a new link may be given at once. */
export interface LinkSettings {
  readonly name: string
  /** Six bytes, `02:42:ac:1e:00:02`; absent: random. */
  readonly mac?: string
  readonly mtu?: number
}

export interface VethSettings extends LinkSettings {
  /** Index of the bridge this end joins. */
  readonly master?: number
  readonly peer: LinkSettings & {
    /** Descriptor of the network namespace the peer is born in, open in this process. */
    readonly netnsFd: number
  }
}

/** EEXIST: the name is taken. The bridge is up when made; without STP its ports forward at once. */
export function createBridge(settings: LinkSettings): RtRequest {
  const attrs = { ...common(settings), linkinfo: attributes([INFO.kind, putString('bridge')]) }
  return linkRequest(RTM.newLink, NLM_F.create | NLM_F.exclusive, `create bridge ${settings.name}`, up(), attrs)
}

/** This end up, the peer down (the kernel refuses to open an end before both are joined) in its namespace. EEXIST: a name is taken on either side. */
export function createVeth(settings: VethSettings): RtRequest {
  const { peer, master } = settings
  const peerAttrs = { ...common(peer), netNsFd: peer.netnsFd }
  const peerLink = encodeLink({}, peerAttrs)
  const linkinfo = attributes([INFO.kind, putString('veth')], [INFO.data, attributes([VETH_INFO_PEER, peerLink])])
  const attrs = { ...common(settings), ...(master === undefined ? {} : { master }), linkinfo }
  return linkRequest(RTM.newLink, NLM_F.create | NLM_F.exclusive, `create veth ${settings.name}`, up(), attrs)
}

/** `hairpin`: frames may leave by the port they came in by. `isolated`: no frames to other isolated ports. */
export function setBridgePort(name: string, port: { hairpin: boolean; isolated: boolean }): RtRequest {
  const data = attributes([BRPORT.mode, putU8(Number(port.hairpin))], [BRPORT.isolated, putU8(Number(port.isolated))])
  const linkinfo = attributes([INFO.slaveKind, putString('bridge')], [INFO.slaveData, data])
  return linkRequest(RTM.newLink, 0, `set bridge port ${name}`, {}, { ifname: name, linkinfo })
}

/** Text that others can read off the link (IFLA_IFALIAS), at most 255 bytes. The kernel ignores it at a link's creation. */
export function setAlias(name: string, alias: string): RtRequest {
  return linkRequest(RTM.newLink, 0, `set alias of ${name}`, {}, { ifname: name, ifalias: alias })
}

/** Joins a bridge, or leaves the one it is in (0). */
export function setMaster(name: string, master: number): RtRequest {
  return linkRequest(RTM.newLink, 0, `put ${name} into bridge ${master}`, {}, { ifname: name, master })
}

/** Brings an existing link up; MTU and address are set before. */
export function setLinkUp(name: string, settings: Omit<LinkSettings, 'name'> = {}): RtRequest {
  return linkRequest(RTM.newLink, 0, `set ${name} up`, up(), common({ name, ...settings }))
}

/** With a veth, the peer goes too. ENODEV: there is none. */
export function deleteLink(name: string): RtRequest {
  return linkRequest(RTM.delLink, 0, `delete link ${name}`, {}, { ifname: name })
}

function up() {
  return { flags: { up: true }, change: { up: true } } as const
}

function common({ name, mac, mtu }: LinkSettings): LinkAttributes {
  return {
    ifname: name,
    ...(mac === undefined ? {} : { address: macBytes(mac) }),
    ...(mtu === undefined ? {} : { mtu }),
  }
}

/** `02:42:ac:1e:00:02` as bytes. */
export function macBytes(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(':', ''), 'hex')
}

export function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join(':')
}

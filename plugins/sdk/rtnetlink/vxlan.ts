/** Requests about VXLAN links (RFC 7348): an Ethernet segment carried in UDP between hosts. */
import { putString } from 'netlink/dist/structs.js'
import { addressBytes, familyOf } from '../network-addresses.ts'
import { attributes, linkRequest, NLM_F, RTM, type RtRequest } from './message.ts'

const INFO = { kind: 1, data: 2 } as const
const VXLAN = { id: 1, local: 4, learning: 7, port: 15, local6: 17 } as const
const AF_BRIDGE = 7
const NLM_F_APPEND = 0x800
const NDA = { dst: 1, lladdr: 2 } as const
const NUD_NOARP_PERMANENT = 0x40 | 0x80
const NTF_SELF = 0x02
/** Where frames go whose receiver's place is not known: to all that are listed for this one. */
const unknownMac = Buffer.alloc(6)

export interface VxlanSettings {
  readonly name: string
  /** VNI, 24 bits. */
  readonly id: number
  /** The host's own address that carries it; peers send there. */
  readonly local: string
  readonly port: number
  readonly mtu: number
  /** Index of the bridge it joins. */
  readonly master: number
}

/** Up when made; learns behind which peer a MAC is from what comes in. EEXIST: the name, or id and port, are taken. */
export function createVxlan({ name, id, local, port, mtu, master }: VxlanSettings): RtRequest {
  const data = attributes(
    [VXLAN.id, u32(id)],
    [familyOf(local) === 4 ? VXLAN.local : VXLAN.local6, addressBytes(local)],
    [VXLAN.learning, Buffer.from([1])],
    [VXLAN.port, Buffer.from([port >> 8, port & 255])],
  )
  const linkinfo = attributes([INFO.kind, putString('vxlan')], [INFO.data, data])
  const up = { flags: { up: true }, change: { up: true } } as const
  return linkRequest(RTM.newLink, NLM_F.create | NLM_F.exclusive, `create vxlan ${name}`, up, {
    ...{ ifname: name, mtu, master, linkinfo },
  })
}

/** Frames for everybody, and for those nobody has heard of, go to that host too. Idempotent. */
export function addVxlanPeer(index: number, peer: string): RtRequest {
  const header = Buffer.alloc(12)
  header.writeUInt8(AF_BRIDGE)
  header.writeInt32LE(index, 4)
  header.writeUInt16LE(NUD_NOARP_PERMANENT, 8)
  header.writeUInt8(NTF_SELF, 10)
  const body = Buffer.concat([header, attributes([NDA.dst, addressBytes(peer)], [NDA.lladdr, unknownMac])])
  return { type: RTM.newNeighbor, flags: NLM_F.create | NLM_F_APPEND, body, what: `add vxlan peer ${peer}` }
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

/** Requests about links that lie on another one: macvlan. */
import { putString } from 'netlink/dist/structs.js'
import { macBytes } from './links.ts'
import { attributes, linkRequest, NLM_F, RTM, type RtRequest } from './message.ts'

const INFO = { kind: 1, data: 2 } as const
const MACVLAN_MODE = 1

/** enum macvlan_mode: who of the links of one parent reaches whom. */
export const macvlanModes = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const
export type MacvlanMode = keyof typeof macvlanModes

export interface MacvlanSettings {
  /** As it is called in its namespace. */
  readonly name: string
  readonly mac: string
  readonly mtu: number
  /** Index of the link below, in the caller's namespace. */
  readonly parent: number
  readonly mode: MacvlanMode
  /** Descriptor of the network namespace it is born in, open in this process. */
  readonly netnsFd: number
}

/** Down when made. EEXIST: the name is taken there. EBUSY, EINVAL: the parent takes none. */
export function createMacvlan({ name, mac, mtu, parent, mode, netnsFd }: MacvlanSettings): RtRequest {
  const modeBytes = Buffer.alloc(4)
  modeBytes.writeUInt32LE(macvlanModes[mode])
  const linkinfo = attributes([INFO.kind, putString('macvlan')], [INFO.data, attributes([MACVLAN_MODE, modeBytes])])
  const attrs = { ifname: name, address: macBytes(mac), mtu, link: indexBytes(parent), netNsFd: netnsFd, linkinfo }
  return linkRequest(RTM.newLink, NLM_F.create | NLM_F.exclusive, `create macvlan ${name}`, {}, attrs)
}

function indexBytes(index: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(index)
  return bytes
}

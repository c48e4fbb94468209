/** The framing of nf_tables' netlink protocol (linux/netfilter/nf_tables.h): messages, attributes, transactions. */
import { AttrStream, formatMessage, putString } from 'netlink/dist/structs.js'
import { netlinkRequest } from '#api/sys/sys.ts'

export const NETLINK_NETFILTER = 12
export const NFNL_SUBSYS_NFTABLES = 10
export const NFPROTO_INET = 1
export const NFPROTO_IPV4 = 2
export const NFPROTO_BRIDGE = 7
/** As nft(8) writes them, by number. */
export const familyNames: Readonly<Record<number, string>> = {
  1: 'inet',
  2: 'ip',
  3: 'arp',
  5: 'netdev',
  7: 'bridge',
  10: 'ip6',
}
const BATCH = { begin: 0x10, end: 0x11 } as const
const NLM_F = { request: 0x1, ack: 0x4 } as const

export interface NftMessage {
  /** NFT_MSG_*. */
  readonly type: number
  /** Beside NLM_F_REQUEST and NLM_F_ACK. */
  readonly flags: number
  readonly body: Buffer
}

/** One transaction: all of the messages or none. `netns`: where; absent: the process' own namespace. */
export async function sendBatch(
  messages: readonly NftMessage[],
  { family = NFPROTO_INET, netns }: { family?: number; netns?: string } = {},
): Promise<void> {
  const frames = messages.map(({ type, flags, body }, index) =>
    frame((NFNL_SUBSYS_NFTABLES << 8) | type, flags | NLM_F.ack, index + 2, nfgen(family, 0), body),
  )
  const begin = frame(BATCH.begin, 0, 1, nfgen(0, NFNL_SUBSYS_NFTABLES))
  const end = frame(BATCH.end, 0, messages.length + 2, nfgen(0, NFNL_SUBSYS_NFTABLES))
  const where = netns === undefined ? {} : { netns }
  await netlinkRequest(NETLINK_NETFILTER, Buffer.concat([begin, ...frames, end]), where)
}

export function frame(type: number, flags: number, seq: number, ...parts: Buffer[]): Buffer {
  const data = Buffer.concat(parts)
  return Buffer.concat([
    ...formatMessage({ type, flags: flags | NLM_F.request, seq, port: 0, data }),
    Buffer.alloc(-data.length & 3),
  ])
}

/** struct nfgenmsg: family, version, and a resource id in network order. */
export function nfgen(family: number, resource: number): Buffer {
  return Buffer.from([family, 0, resource >> 8, resource & 255])
}

/** Attributes one after another, each aligned. */
export function attributes(...pairs: readonly (readonly [type: number, data: Buffer])[]): Buffer {
  const out = new AttrStream()
  for (const [type, data] of pairs) out.push(type, data)
  return Buffer.concat(out.bufs)
}

/** Numbers of nf_tables are 32 bits in network order. */
export function number(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value | 0)
  return bytes
}

/** With its NUL. */
export function text(value: string): Buffer {
  return Buffer.from(putString(value))
}

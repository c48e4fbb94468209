/** The kernel's table of connections that it tracks, both families: nfnetlink's conntrack subsystem (nfnetlink_conntrack.h). */
import { parseAttributes, parseMessage } from 'netlink/dist/structs.js'
import { isSysError, netlinkRequest } from '#api/sys/sys.ts'
import { addressFromBytes } from '../network-addresses.ts'
import { attributes, frame, NETLINK_NETFILTER, nfgen } from './nftables/messages.ts'

const NFNL_SUBSYS_CTNETLINK = 1
const MSG = { get: 1, delete: 2 } as const
const NLM_F = { ack: 0x4, dump: 0x300 } as const
const NFGEN_BYTES = 4
const CTA = { original: 1, reply: 2, status: 3, id: 12, zone: 18 } as const
const TUPLE_IP = 1
/** CTA_IP_V4_SRC, CTA_IP_V6_SRC; the destination's number is one more for v4 and v6 alike. */
const IP = { source: [1, 3], destination: [2, 4] } as const
/** IPS_DST_NAT: its destination was translated, as a published port does. */
const IPS_DST_NAT = 1 << 5
/** NLA_F_NESTED and NLA_F_NET_BYTEORDER are bits of the type. */
const TYPE_MASK = 0x3fff
const NLA_F_NESTED = 0x8000

export interface Flow {
  /** Who began it, and whom it asked. */
  readonly source: string
  readonly destination: string
  /** Who answers: the container, where a published port led it to one. */
  readonly answerer: string
  readonly isTranslated: boolean
  /** What deletes exactly this one. */
  readonly key: Buffer
}

/** A host without connection tracking has none. */
export async function listFlows(): Promise<Flow[]> {
  const message = frame((NFNL_SUBSYS_CTNETLINK << 8) | MSG.get, NLM_F.dump, 1, nfgen(0, 0))
  const answers = await netlinkRequest(NETLINK_NETFILTER, message).catch(error => {
    if (isSysError(error, 'EINVAL') || isSysError(error, 'EPROTONOSUPPORT')) return []
    throw error
  })
  return answers.flatMap(answer => flowOf(Buffer.from(parseMessage(answer).x.data)) ?? [])
}

/** It ended meanwhile: success. The next packet of it begins a new one, by the rules of now. */
export async function deleteFlow({ key }: Flow): Promise<void> {
  const message = frame((NFNL_SUBSYS_CTNETLINK << 8) | MSG.delete, NLM_F.ack, 1, key)
  await netlinkRequest(NETLINK_NETFILTER, message).catch(error => {
    if (!isSysError(error, 'ENOENT')) throw error
  })
}

function flowOf(body: Buffer): Flow | undefined {
  const found = read(body.subarray(NFGEN_BYTES))
  const [original, reply] = [found.get(CTA.original), found.get(CTA.reply)]
  if (original === undefined || reply === undefined) return undefined
  const [asked, answered] = [endsOf(original), endsOf(reply)]
  if (asked === undefined || answered === undefined) return undefined
  const [id, zone] = [found.get(CTA.id), found.get(CTA.zone)]
  const named = attributes(
    [CTA.original | NLA_F_NESTED, original],
    ...(id ? [[CTA.id, id] as const] : []),
    ...(zone ? [[CTA.zone, zone] as const] : []),
  )
  return {
    source: asked.source,
    destination: asked.destination,
    answerer: answered.source,
    isTranslated: ((found.get(CTA.status)?.readUInt32BE() ?? 0) & IPS_DST_NAT) !== 0,
    key: Buffer.concat([body.subarray(0, NFGEN_BYTES), named]),
  }
}

function endsOf(tuple: Buffer): { source: string; destination: string } | undefined {
  const addresses = read(read(tuple).get(TUPLE_IP) ?? Buffer.alloc(0))
  const [source, destination] = [IP.source, IP.destination].map(types =>
    types.map(type => addresses.get(type)).find(bytes => bytes !== undefined),
  )
  return source && destination && { source: addressFromBytes(source), destination: addressFromBytes(destination) }
}

function read(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>()
  parseAttributes(bytes, ({ type, data }) => found.set(type & TYPE_MASK, data))
  return found
}

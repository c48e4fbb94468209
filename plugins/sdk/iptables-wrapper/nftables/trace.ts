/** What the rules of nf_tables, whoever's, did with a packet that is traced: nft(8), "monitor trace", by netlink. */
import { parseAttributes } from 'netlink/dist/structs.js'
import { netlinkSubscribe } from '#api/sys/sys.ts'
import { addressFromBytes } from '../../network-addresses.ts'
import { familyNames, NETLINK_NETFILTER, NFNL_SUBSYS_NFTABLES } from './messages.ts'

const NFNLGRP_NFTRACE = 9
const NFT_MSG_TRACE = 17
const TRACE = {
  ...{ table: 1, chain: 2, handle: 3, type: 4, verdict: 5 },
  ...{ network: 8, transport: 9, policy: 16 },
} as const
/** nfgen_family of the message: the table's. */
const FAMILY_AT = 16
const [policyType, ruleType] = [1, 3]
const VERDICT = { code: 1, chain: 2 } as const
const verdicts: Readonly<Record<number, string>> = {
  0: 'drop',
  1: 'accept',
  [-1]: 'continue',
  [-3]: 'jump',
  [-4]: 'goto',
  [-5]: 'return',
}

/** A rule, or a chain's policy, that decided about the packet. */
export interface TraceEvent {
  readonly family: string
  readonly table: string
  readonly chain: string
  /** Of the rule; 0: none fitted; undefined: the chain's policy. */
  readonly handle: number | undefined
  /** `accept`, `drop`, `jump x` … */
  readonly verdict: string
  /** Where it was going then, where the kernel tells: it does at the first rule of each chain. */
  readonly destination: { readonly address: string; readonly port: number } | undefined
}

export function watchTrace(onEvent: (event: TraceEvent) => void): Disposable {
  const types = [(NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_TRACE]
  const take = (messages: Buffer[]) => {
    for (const message of messages) {
      const event = readEvent(message.readUInt8(FAMILY_AT), message.subarray(20))
      if (event) onEvent(event)
    }
  }
  return netlinkSubscribe(NETLINK_NETFILTER, [NFNLGRP_NFTRACE], take, { types })
}

function readEvent(family: number, bytes: Buffer): TraceEvent | undefined {
  const found = read(bytes)
  const type = found.get(TRACE.type)?.readUInt32BE()
  if (type !== policyType && type !== ruleType) return undefined
  const policy = found.get(TRACE.policy)?.readUInt32BE()
  return {
    family: familyNames[family] ?? '',
    table: textOf(found.get(TRACE.table)),
    chain: textOf(found.get(TRACE.chain)),
    handle: type === ruleType ? Number(found.get(TRACE.handle)?.readBigUInt64BE() ?? 0n) : undefined,
    verdict: type === policyType ? (verdicts[policy ?? -1] ?? '') : verdictOf(found.get(TRACE.verdict)),
    destination: destinationOf(found.get(TRACE.network), found.get(TRACE.transport)),
  }
}

function verdictOf(bytes: Buffer | undefined): string {
  const found = read(bytes ?? Buffer.alloc(0))
  const code = found.get(VERDICT.code)?.readInt32BE() ?? -1
  return [verdicts[code] ?? String(code), textOf(found.get(VERDICT.chain))].join(' ').trim()
}

/** Offsets of the destination in struct iphdr and struct ipv6hdr, and of the port behind the source's. */
function destinationOf(network: Buffer | undefined, transport: Buffer | undefined): TraceEvent['destination'] {
  if (network === undefined || transport === undefined || transport.length < 4) return undefined
  const [from, to] = (network[0] ?? 0) >> 4 === 4 ? [16, 20] : [24, 40]
  if (network.length < to) return undefined
  return { address: addressFromBytes(network.subarray(from, to)), port: transport.readUInt16BE(2) }
}

function read(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>()
  parseAttributes(bytes, ({ type, data }) => found.set(type & 0x3fff, Buffer.from(data)))
  return found
}

function textOf(bytes: Buffer | undefined): string {
  return bytes?.toString('utf8').replace(/\0.*$/s, '') ?? ''
}

/**
 * A table inside a container's network namespace that leads one port of a loopback address to another port of it, for
 * what the container itself sends: as `nft` would load
 *
 *     table ip gantry-redirect { chain output { type nat hook output priority -100;
 *       ip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:39053 } }
 *
 * So a service of ours in the container does not take the well-known port from a program of the container's.
 * Written by netlink: it is made for every container, and starting nft(8) costs as much as all else about its network.
 */
import { isSysError } from '#api/sys/sys.ts'
import { addressBytes } from '../../network-addresses.ts'
import { attributes, NFPROTO_IPV4, type NftMessage, number, sendBatch, text } from './messages.ts'
import { deleteTable, listTables } from './nfnetlink.ts'

const MSG = { newTable: 0, newChain: 3, newRule: 6 } as const
const NLM_F = { exclusive: 0x200, create: 0x400, append: 0x800 } as const
const NF_INET_LOCAL_OUT = 3
const NF_IP_PRI_NAT_DST = -100
const META_L4PROTO = 16
const NAT_DNAT = 1
const PAYLOAD = { network: 1, transport: 2 } as const
/** Offsets of the destination's address in struct iphdr, and of its port in all transport headers. */
const DADDR = { offset: 16, length: 4 } as const
const DPORT = { offset: 2, length: 2 } as const
/** Registers of 16 bytes. */
const [first, second] = [1, 2]
const protocols = { tcp: 6, udp: 17 } as const

const table = 'gantry-redirect'
const chain = 'output'

export interface LoopbackRedirect {
  /** 127.0.0.0/8. */
  readonly address: string
  readonly port: number
  readonly to: number
}

/** Idempotent. ENOENT, EINVAL: no namespace at `netns`. EOPNOTSUPP: the kernel has no nat for nf_tables. */
export async function redirectLoopback(netns: string, redirect: LoopbackRedirect): Promise<void> {
  const rules = (['udp', 'tcp'] as const).map(protocol => rule(protocol, redirect))
  const made = { type: MSG.newTable, flags: NLM_F.create | NLM_F.exclusive, body: attributes([1, text(table)]) }
  await sendBatch([made, natChain(), ...rules], { family: NFPROTO_IPV4, netns }).catch(error => {
    if (!isSysError(error, 'EEXIST')) throw error
  })
}

/** Whether there is a table of ours, whatever it leads where. ENOENT, EINVAL: no namespace at `netns`. */
export async function hasRedirect(netns: string): Promise<boolean> {
  const tables = await listTables({ netns })
  return tables.some(({ family, name }) => family === NFPROTO_IPV4 && name === table)
}

/** Gone already: success. */
export async function removeRedirect(netns: string): Promise<void> {
  await deleteTable(table, { family: NFPROTO_IPV4, netns }).catch(error => {
    if (!isSysError(error, 'ENOENT')) throw error
  })
}

function natChain(): NftMessage {
  const hook = attributes([1, number(NF_INET_LOCAL_OUT)], [2, number(NF_IP_PRI_NAT_DST)])
  const body = attributes([1, text(table)], [3, text(chain)], [4, hook], [7, text('nat')])
  return { type: MSG.newChain, flags: NLM_F.create, body }
}

function rule(protocol: keyof typeof protocols, { address, port, to }: LoopbackRedirect): NftMessage {
  const expressions = [
    payload(PAYLOAD.network, DADDR),
    equals(addressBytes(address)),
    expression('meta', [1, number(first)], [2, number(META_L4PROTO)]),
    equals(Buffer.from([protocols[protocol]])),
    payload(PAYLOAD.transport, DPORT),
    equals(portBytes(port)),
    immediate(first, addressBytes(address)),
    immediate(second, portBytes(to)),
    expression('nat', [1, number(NAT_DNAT)], [2, number(NFPROTO_IPV4)], [3, number(first)], [5, number(second)]),
  ]
  const list = attributes(...expressions.map(each => [1, each] as const))
  const body = attributes([1, text(table)], [2, text(chain)], [4, list])
  return { type: MSG.newRule, flags: NLM_F.create | NLM_F.append, body }
}

function expression(name: string, ...data: (readonly [number, Buffer])[]): Buffer {
  return attributes([1, text(name)], [2, attributes(...data)])
}

function payload(base: number, { offset, length }: { offset: number; length: number }): Buffer {
  return expression('payload', [1, number(first)], [2, number(base)], [3, number(offset)], [4, number(length)])
}

function equals(bytes: Buffer): Buffer {
  return expression('cmp', [1, number(first)], [2, number(0)], [3, attributes([1, bytes])])
}

function immediate(register: number, bytes: Buffer): Buffer {
  return expression('immediate', [1, number(register)], [2, attributes([1, bytes])])
}

function portBytes(port: number): Buffer {
  return Buffer.from([port >> 8, port & 255])
}

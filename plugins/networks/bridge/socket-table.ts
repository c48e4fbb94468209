/** The kernel's table of sockets, asked once whatever the number of ports: sock_diag(7). */
import { isSysError, netlinkRequest } from '#api/sys/sys.ts'
import type { PublishedPort } from '#sdk/iptables-wrapper/firewall.ts'
import { addressFromBytes, anyAddress, type Family, familyOf } from '#sdk/network-addresses.ts'

const NETLINK_SOCK_DIAG = 4
const SOCK_DIAG_BY_FAMILY = 20
const NLM_F_REQUEST_DUMP = 0x301
const protocols = { tcp: 6, udp: 17, sctp: 132 } as const
/** Bits of the states that hold a port for themselves: TCP_LISTEN; TCP_CLOSE, which is what a bound UDP socket is in. */
const states = { tcp: 1 << 10, udp: 1 << 7, sctp: 1 << 10 } as const
const families = { 4: 2, 6: 10 } as const

/** Of struct nlmsghdr, struct inet_diag_req_v2 and struct inet_diag_msg. */
const HEADER_BYTES = 16
const REQUEST_BYTES = 56

/**
 * Ports that a program has, on an address that a port of `hostAddress` would collide with. A socket on `::` counts for
 * IPv4 too, as most of them serve both. A protocol that the kernel cannot list has none.
 */
export async function boundSockets({
  protocol,
  hostAddress,
}: Pick<PublishedPort, 'protocol' | 'hostAddress'>): Promise<number[]> {
  const family = familyOf(hostAddress)
  const own = await list(protocol, family)
  const both = family === 4 ? (await list(protocol, 6)).filter(({ address }) => address === '::') : []
  const wildcard = anyAddress(family)
  return [...own, ...both]
    .filter(
      ({ address }) => hostAddress === wildcard || address === wildcard || address === '::' || address === hostAddress,
    )
    .map(({ port }) => port)
}

async function list(protocol: PublishedPort['protocol'], family: Family): Promise<{ address: string; port: number }[]> {
  const request = Buffer.alloc(HEADER_BYTES + REQUEST_BYTES)
  request.writeUInt32LE(request.length, 0)
  request.writeUInt16LE(SOCK_DIAG_BY_FAMILY, 4)
  request.writeUInt16LE(NLM_F_REQUEST_DUMP, 6)
  request.writeUInt32LE(1, 8)
  request.writeUInt8(families[family], HEADER_BYTES)
  request.writeUInt8(protocols[protocol], HEADER_BYTES + 1)
  request.writeUInt32LE(states[protocol], HEADER_BYTES + 4)
  const answers = await netlinkRequest(NETLINK_SOCK_DIAG, request).catch(error => {
    if (isSysError(error, 'ENOENT')) return []
    throw error
  })
  return answers.map(message => {
    const body = message.subarray(HEADER_BYTES)
    return { port: body.readUInt16BE(4), address: addressFromBytes(body.subarray(8, family === 4 ? 12 : 24)) }
  })
}

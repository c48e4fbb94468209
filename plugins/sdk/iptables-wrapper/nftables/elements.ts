/** Networks and ports as elements of our sets (ruleset.ts declares them), in the kernel's bytes, and back. */
import {
  addressAt,
  addressBytes,
  addressFromBytes,
  anyAddress,
  familyOf,
  type IpSubnet,
} from '../../network-addresses.ts'
import {
  type FirewallNetwork,
  type FirewallState,
  isWildcard,
  type PublishedPort,
  type TransportProtocol,
} from '../firewall.ts'
import type { SetElement } from './nfnetlink.ts'

const protocolNumbers: Readonly<Record<TransportProtocol, number>> = { tcp: 6, udp: 17, sctp: 132 }
const protocolNames = new Map(
  Object.entries(protocolNumbers).map(([name, number]) => [number, name as TransportProtocol]),
)
/** IFNAMSIZ: an interface name as a key. */
const linkNameBytes = 16
/** Protocol and port, each in a register of four bytes. */
const portKeyBytes = 8

export const portMaps = ['ports4', 'ports4-at', 'ports6', 'ports6-at'] as const

/** Every set and map that has elements. */
export const setNames = [
  ...portMaps,
  ...['bridges', 'subnets4', 'subnets6', 'hairpin4', 'hairpin6', 'same', 'internal'],
] as const

/** Elements by the name of their set. */
export type ElementsBySet = ReadonlyMap<string, readonly SetElement[]>

/** All elements that `state` asks for. */
export function stateElements({ networks, ports }: FirewallState): ElementsBySet {
  const found = new Map<string, SetElement[]>()
  for (const elements of [...networks.map(networkElements), portElements(ports)])
    for (const [set, members] of elements) found.set(set, [...(found.get(set) ?? []), ...members])
  return found
}

export function networkElements(network: FirewallNetwork): ElementsBySet {
  const { subnets, internal, masquerade, intraTraffic } = network
  const link = linkName(network.bridge)
  const found = new Map<string, SetElement[]>([['bridges', [{ key: link }]]])
  const add = (set: string, ...elements: SetElement[]) => found.set(set, [...(found.get(set) ?? []), ...elements])
  for (const subnet of subnets) {
    const [first, last] = [addressBytes(addressAt(subnet.family, subnet.first)), lastOf(subnet)]
    if (masquerade && !internal)
      add(`subnets${subnet.family}`, { key: first }, { key: behind(last), intervalEnd: true })
    add(`hairpin${subnet.family}`, { key: Buffer.concat([first, link]), keyEnd: Buffer.concat([last, link]) })
  }
  if (intraTraffic) add('same', { key: Buffer.concat([link, link]) })
  if (internal) add('internal', { key: link })
  return found
}

function lastOf({ family, last }: IpSubnet): Buffer {
  return addressBytes(addressAt(family, last))
}

/** The next address: where an interval ends. */
function behind(bytes: Buffer): Buffer {
  const next = Buffer.from(bytes)
  for (let i = next.length - 1; i >= 0; i--) {
    next.writeUInt8(((next[i] ?? 0) + 1) & 255, i)
    if (next[i] !== 0) break
  }
  return next
}

/** The map that a port is in. */
export function portMapOf(port: PublishedPort): (typeof portMaps)[number] {
  return `ports${familyOf(port.hostAddress)}${isWildcard(port) ? '' : '-at'}`
}

export function portElements(ports: readonly PublishedPort[]): ElementsBySet {
  return new Map(
    [...Map.groupBy(ports, portMapOf)].map(([set, members]) => [set, members.flatMap(member => rangeElements(member))]),
  )
}

/** One element for each port of the range. Written for ranges of thousands: each element is one copy of a pattern. */
function rangeElements(port: PublishedPort): SetElement[] {
  const address = isWildcard(port) ? Buffer.alloc(0) : addressBytes(port.hostAddress)
  const key = Buffer.concat([address, Buffer.from([protocolNumbers[port.protocol], 0, 0, 0]), Buffer.alloc(4)])
  const target = addressBytes(port.containerAddress)
  const data = Buffer.concat([target, Buffer.alloc(4)])
  return Array.from({ length: port.count }, (_, i) => ({
    key: withPort(key, key.length - 4, port.hostPort + i),
    data: withPort(data, target.length, port.containerPort + i),
  }))
}

function withPort(pattern: Buffer, at: number, port: number): Buffer {
  const bytes = Buffer.from(pattern)
  bytes.writeUInt16BE(port, at)
  return bytes
}

/** The inverse; undefined for an element that none of ours looks like. */
export function readPort({ key, data }: SetElement): PublishedPort | undefined {
  if (data?.length !== 8 && data?.length !== 20) return undefined
  const addressLength = data.length - 4
  const family = addressLength === 4 ? 4 : 6
  const wildcard = key.length === portKeyBytes
  if (!wildcard && key.length !== portKeyBytes + addressLength) return undefined
  const rest = wildcard ? key : key.subarray(addressLength)
  const protocol = protocolNames.get(rest[0] ?? 0)
  if (protocol === undefined) return undefined
  return {
    protocol,
    hostAddress: wildcard ? anyAddress(family) : addressFromBytes(key.subarray(0, addressLength)),
    hostPort: rest.readUInt16BE(4),
    containerAddress: addressFromBytes(data.subarray(0, addressLength)),
    containerPort: data.readUInt16BE(addressLength),
    count: 1,
  }
}

function linkName(name: string): Buffer {
  const key = Buffer.alloc(linkNameBytes)
  key.write(name, 'latin1')
  return key
}

/** Networks and ports as elements of our sets (ruleset.ts declares them), in the kernel's bytes, and back. */
import { ipv4Bytes, ipv4FromBytes } from '../../network-addresses.ts'
import type { FirewallNetwork, PublishedPort, TransportProtocol } from '../firewall.ts'
import type { SetElement } from './nfnetlink.ts'

const protocolNumbers: Readonly<Record<TransportProtocol, number>> = { tcp: 6, udp: 17, sctp: 132 }
/** IFNAMSIZ: an interface name as a key. */
const linkNameBytes = 16

/** Elements by the name of their set. */
export type ElementsBySet = ReadonlyMap<string, readonly SetElement[]>

export function networkElements(network: FirewallNetwork): ElementsBySet {
  const { subnet, internal, masquerade, intraTraffic } = network
  const link = linkName(network.bridge)
  const first = ipv4Bytes(subnet.first)
  const range: SetElement[] = [{ key: first }, { key: ipv4Bytes(subnet.last + 1), intervalEnd: true }]
  const hairpin = { key: Buffer.concat([first, link]), keyEnd: Buffer.concat([ipv4Bytes(subnet.last), link]) }
  const sets: readonly [boolean, string, readonly SetElement[]][] = [
    [true, 'bridges', [{ key: link }]],
    [masquerade && !internal, 'subnets', range],
    [true, 'hairpin', [hairpin]],
    [intraTraffic, 'same', [{ key: Buffer.concat([link, link]) }]],
    [internal, 'internal', [{ key: link }]],
  ]
  return new Map(sets.filter(([applies]) => applies).map(([, set, elements]) => [set, elements]))
}

export function portElements(ports: readonly PublishedPort[]): ElementsBySet {
  return new Map(
    [...Map.groupBy(ports, ({ hostAddress }) => (hostAddress === 0 ? 'ports' : 'ports-at'))].map(([set, members]) => [
      set,
      members.map(portElement),
    ]),
  )
}

function portElement({ protocol, hostAddress, hostPort, containerAddress, containerPort }: PublishedPort): SetElement {
  const key = Buffer.concat([Buffer.from([protocolNumbers[protocol], 0, 0, 0]), portField(hostPort)])
  return {
    key: hostAddress === 0 ? key : Buffer.concat([ipv4Bytes(hostAddress), key]),
    data: Buffer.concat([ipv4Bytes(containerAddress), portField(containerPort)]),
  }
}

/** The inverse; undefined for an element that none of ours looks like. */
export function readPort({ key, data }: SetElement): PublishedPort | undefined {
  const wildcard = key.length === 8
  if ((!wildcard && key.length !== 12) || data?.length !== 8) return undefined
  const rest = wildcard ? key : key.subarray(4)
  const protocol = Object.entries(protocolNumbers).find(([, number]) => number === rest[0])?.[0]
  if (protocol === undefined) return undefined
  return {
    protocol: protocol as TransportProtocol,
    hostAddress: wildcard ? 0 : ipv4FromBytes(key.subarray(0, 4)),
    hostPort: rest.readUInt16BE(4),
    containerAddress: ipv4FromBytes(data.subarray(0, 4)),
    containerPort: data.readUInt16BE(4),
  }
}

/** Network order, padded to a register. */
function portField(port: number): Buffer {
  return Buffer.from([port >> 8, port & 255, 0, 0])
}

function linkName(name: string): Buffer {
  const key = Buffer.alloc(linkNameBytes)
  key.write(name, 'latin1')
  return key
}

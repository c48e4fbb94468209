/** From what a caller asks for to ports of the host, and the comparison of both. */
import { failedPrecondition, invalidArgument } from '#api/errors/errors.ts'
import type { PublishedPort, TransportProtocol } from '#sdk/iptables-wrapper/firewall.ts'
import type { Network, PortMapping } from '#sdk/network.ts'
import { anyAddress, type Family, familyOf, parseAddress } from '#sdk/network-addresses.ts'
import type { HostPorts, PortWish } from './host-ports.ts'
import type { AttachmentRow } from './ledger.ts'
import { readOptions } from './options.ts'
import { planOf } from './subnets.ts'

/** A port that was taken for a container whose address is not chosen yet. */
export type TakenPort = Omit<PublishedPort, 'containerAddress'>

/**
 * Takes the host's ports for what is asked for. FAILED_PRECONDITION: an internal network publishes none.
 * Otherwise see {@link HostPorts.take}.
 */
export async function takePorts(
  hostPorts: HostPorts,
  network: Network,
  mappings: readonly PortMapping[],
  holder: string,
): Promise<TakenPort[]> {
  if (mappings.length === 0) return []
  if (network.internal)
    throw failedPrecondition(
      `ports: network "${network.name}" is internal and publishes none; attach the container to another network too`,
    )
  const wishes = mappings.map(mapping => ({ mapping, wish: wishOf(network, mapping) }))
  const firsts = await hostPorts.take(
    wishes.map(({ wish }) => wish),
    holder,
  )
  return wishes.flatMap(({ mapping, wish }, i) =>
    wish.hostAddresses.map(hostAddress => ({
      protocol: wish.protocol,
      hostAddress,
      hostPort: firsts[i] ?? 0,
      containerPort: mapping.containerPort,
      count: wish.count,
    })),
  )
}

/** With the container's address of the family. */
export function directed(ports: readonly TakenPort[], addresses: AttachmentRow['addresses']): PublishedPort[] {
  return ports.flatMap(port => {
    const target = addresses.find(({ address }) => familyOf(address) === familyOf(port.hostAddress))
    return target ? { ...port, containerAddress: target.address } : []
  })
}

function wishOf(network: Network, { protocol, hostPort, hostIp, count }: PortMapping): PortWish {
  return {
    protocol: protocol as TransportProtocol,
    hostPort,
    count: Math.max(count, 1),
    hostAddresses: hostAddresses(network, hostIp),
  }
}

function hostAddresses(network: Network, hostIp: string): string[] {
  const families = [...new Set(planOf(network.subnets).map(({ subnet }) => subnet.family))]
  if (hostIp === '') return families.map(family => defaultBinding(network, family))
  const address = parseAddress(hostIp, 'ports: host_ip')
  if (families.includes(familyOf(address))) return [address]
  throw invalidArgument(
    `ports: host_ip ${hostIp}: network "${network.name}" has no IPv${familyOf(address)} subnet to lead it to`,
  )
}

function defaultBinding(network: Network, family: Family): string {
  const { hostBindingIpv4, hostBindingIpv6 } = readOptions(network)
  return (family === 4 ? hostBindingIpv4 : hostBindingIpv6) || anyAddress(family)
}

/** Whether `port` is (part of) what a mapping asks for; host port 0 and an empty host address fit any. */
export function fits({ protocol, containerPort, hostPort, hostIp, count }: PortMapping, port: PublishedPort): boolean {
  return (
    protocol === port.protocol &&
    containerPort === port.containerPort &&
    (hostPort === 0 || hostPort === port.hostPort) &&
    (hostIp === '' || hostIp === port.hostAddress) &&
    Math.max(count, 1) === port.count
  )
}

/** Every wish is among the ports, and every port among the wishes. */
export function isSamePorts(wishes: readonly PortMapping[], ports: readonly PublishedPort[]): boolean {
  return (
    wishes.every(wish => ports.some(port => fits(wish, port))) &&
    ports.every(port => wishes.some(wish => fits(wish, port)))
  )
}

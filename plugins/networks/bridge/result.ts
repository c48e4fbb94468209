/** What an attachment is, in CNI's result type. */
import type { PublishedPort } from '#sdk/iptables-wrapper/firewall.ts'
import type { PortMapping, Result } from '#sdk/network.ts'
import { formatIpv4 } from '#sdk/network-addresses.ts'
import type { LinkInfo } from '#sdk/rtnetlink/rtnetlink.ts'
import type { EndpointPlan } from './endpoint.ts'

export function resultOf({ row, network, addresses }: EndpointPlan, bridge: LinkInfo): Result {
  const { mtu } = network.network
  const gateway = formatIpv4(addresses.gateway)
  return {
    interfaces: [
      { name: bridge.name, mac: bridge.mac, mtu, sandbox: '' },
      { name: row.hostLink, mac: '', mtu, sandbox: '' },
      { name: row.interfaceName, mac: row.mac, mtu, sandbox: row.netnsPath },
    ],
    ips: [{ address: `${formatIpv4(row.address)}/${addresses.subnet.prefix}`, gateway, interface: 2 }],
    routes: row.defaultRoute ? [{ dst: '0.0.0.0/0', gw: gateway }] : [],
    ports: row.ports.map(mappingOf),
  }
}

export function mappingOf({ protocol, hostAddress, hostPort, containerPort }: PublishedPort): PortMapping {
  return { protocol, hostPort, containerPort, hostIp: formatIpv4(hostAddress) }
}

/** What an attachment is, in CNI's result type. */
import type { PublishedPort } from '#sdk/iptables-wrapper/firewall.ts'
import type { PortMapping, Result } from '#sdk/network.ts'
import { anyAddress, familyOf, formatSubnet, subnetOf } from '#sdk/network-addresses.ts'
import type { LinkInfo } from '#sdk/rtnetlink/rtnetlink.ts'
import type { EndpointPlan } from './endpoint.ts'

/** Where a container with names in its networks asks for them (dns/); Docker's address for it. */
export const resolverAddress = '127.0.0.11'

export function resultOf({ row, network, addresses, hasNames }: EndpointPlan, bridge: LinkInfo): Result {
  const { mtu } = network.network
  const nowhere = { socketPath: '', pciId: '' }
  const routes = row.defaultRoute ? addresses.map(({ gateway }) => defaultRoute(gateway, row.metric)) : []
  return {
    interfaces: [
      { name: bridge.name, mac: bridge.mac, mtu, sandbox: '', ...nowhere },
      { name: row.hostLink, mac: '', mtu, sandbox: '', ...nowhere },
      { name: row.interfaceName, mac: row.mac, mtu, sandbox: row.netnsPath, ...nowhere },
    ],
    ips: addresses.map(({ address, prefix, gateway }) => ({ address: `${address}/${prefix}`, gateway, interface: 2 })),
    routes,
    ports: row.ports.map(mappingOf),
    ...(hasNames ? { dns: { nameservers: [resolverAddress], domain: '', search: [], options: ['ndots:0'] } } : {}),
  }
}

function defaultRoute(gateway: string, priority: number): Result['routes'][number] {
  const dst = formatSubnet(subnetOf(anyAddress(familyOf(gateway)), 0))
  return { dst, gw: gateway, mtu: 0, advmss: 0, priority, table: 0, scope: 0 }
}

export function mappingOf({ protocol, hostAddress, hostPort, containerPort, count }: PublishedPort): PortMapping {
  return { protocol, hostPort, containerPort, hostIp: hostAddress, count }
}

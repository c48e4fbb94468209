/** Networks and ports of a container, in Docker's form. */
import { createHash } from 'node:crypto'
import type { AttachmentRecord } from '#api/gen/gantry/services/networks/v1/networks.ts'
import { type ApiVersion, atLeast } from '../http/api-version.ts'
import type { EndpointWish } from './create/body.ts'
import { parsePorts } from './create/ports.ts'
import type { Found } from './store.ts'

export interface EndpointParts {
  id: string
  name: string
  hostname: string
  network: string
  networkId: string
  version: ApiVersion
  /** Undefined while it does not run. */
  attachment: AttachmentRecord | undefined
  wish: EndpointWish | undefined
}

export interface EndpointJson {
  EndpointID: string
  Gateway: string
  IPAddress: string
  IPPrefixLen: number
  IPv6Gateway: string
  GlobalIPv6Address: string
  GlobalIPv6PrefixLen: number
  MacAddress: string
  [member: string]: unknown
}

export function endpointJson(parts: EndpointParts): EndpointJson {
  const { id, name, network, networkId, version, attachment, wish } = parts
  const addresses = (attachment?.result?.ips ?? []).map(({ address, gateway }) => ({ ...splitCidr(address), gateway }))
  const v4 = addresses.find(({ ip }) => !ip.includes(':'))
  const v6 = addresses.find(({ ip }) => ip.includes(':'))
  const inside = attachment?.result?.interfaces.find(({ sandbox }) => sandbox !== '')
  const isNamed = !['bridge', 'host', 'none'].includes(network)
  return {
    IPAMConfig: wish?.IPAMConfig ? ipamJson(wish.IPAMConfig) : null,
    Links: wish?.Links ?? null,
    Aliases: aliasesOf(parts, isNamed),
    MacAddress: inside?.mac ?? wish?.MacAddress ?? '',
    DriverOpts: wish?.DriverOpts ?? null,
    ...(atLeast(version, '1.48') && { GwPriority: wish?.GwPriority ?? 0 }),
    NetworkID: attachment?.networkId || networkId,
    EndpointID: attachment ? endpointId(id, attachment.networkId) : '',
    Gateway: v4?.gateway ?? '',
    IPAddress: v4?.ip ?? '',
    IPPrefixLen: v4?.prefix ?? 0,
    IPv6Gateway: v6?.gateway ?? '',
    GlobalIPv6Address: v6?.ip ?? '',
    GlobalIPv6PrefixLen: v6?.prefix ?? 0,
    ...(atLeast(version, '1.44') && {
      DNSNames: isNamed ? [...new Set([name, ...(wish?.Aliases ?? []), id.slice(0, 12)])] : null,
    }),
  }
}

/** The short id and the host name were among them until names had a member of their own. */
function aliasesOf({ id, name, hostname, version, networkId, wish }: EndpointParts, isNamed: boolean): string[] | null {
  if (!isNamed || networkId === '' || atLeast(version, '1.45')) return wish?.Aliases ?? null
  const own = [id.slice(0, 12), ...(hostname !== '' && hostname !== name ? [hostname] : [])]
  return [...new Set([...(wish?.Aliases ?? []), ...own])]
}

function ipamJson({ IPv4Address, IPv6Address, LinkLocalIPs }: NonNullable<EndpointWish['IPAMConfig']>): object {
  return {
    ...(IPv4Address && { IPv4Address }),
    ...(IPv6Address && { IPv6Address }),
    ...(LinkLocalIPs && { LinkLocalIPs }),
  }
}

/** The core has no id for an attachment; network and container name it. */
export function endpointId(containerId: string, networkId: string): string {
  return createHash('sha256').update(`${networkId}/${containerId}`).digest('hex')
}

function splitCidr(cidr: string): { ip: string; prefix: number } {
  const [ip = '', prefix = '0'] = cidr.split('/')
  return { ip, prefix: Number(prefix) }
}

interface Binding {
  HostIp: string
  HostPort: string
}

/** Open ports, `null` for those that are exposed and not published; nothing while it does not run. */
export function portMapJson(found: Found): Record<string, Binding[] | null> {
  if (found.core.attachments.length === 0) return {}
  const ports: Record<string, Binding[] | null> = {}
  for (const text of Object.keys(found.record.config.ExposedPorts ?? {}))
    for (const { number, protocol } of parsePorts(text)) ports[`${number}/${protocol}`] = null
  for (const port of openPorts(found)) {
    const key = `${port.containerPort}/${port.protocol}`
    const binding = { HostIp: port.hostIp || '0.0.0.0', HostPort: String(port.hostPort) }
    ports[key] = [...(ports[key] ?? []), binding]
  }
  return ports
}

export interface OpenPort {
  protocol: string
  containerPort: number
  hostPort: number
  hostIp: string
}

export function openPorts({ core }: Pick<Found, 'core'>): OpenPort[] {
  return core.attachments.flatMap(({ result }) =>
    (result?.ports ?? []).flatMap(port =>
      Array.from({ length: Math.max(1, port.count) }, (_, at) => ({
        protocol: port.protocol,
        containerPort: port.containerPort + at,
        hostPort: port.hostPort + at,
        hostIp: port.hostIp,
      })),
    ),
  )
}

/** `Ports` of the list. */
export function portListJson(found: Found): object[] {
  const open = openPorts(found).map(({ hostIp, containerPort, hostPort, protocol }) => ({
    IP: hostIp || '0.0.0.0',
    PrivatePort: containerPort,
    PublicPort: hostPort,
    Type: protocol,
  }))
  if (found.core.attachments.length === 0) return []
  const published = new Set(open.map(({ PrivatePort, Type }) => `${PrivatePort}/${Type}`))
  const exposed = Object.keys(found.record.config.ExposedPorts ?? {}).flatMap(parsePorts)
  return [
    ...exposed
      .filter(({ number, protocol }) => !published.has(`${number}/${protocol}`))
      .map(({ number, protocol }) => ({ PrivatePort: number, Type: protocol })),
    ...open,
  ]
}

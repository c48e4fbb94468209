/** A network of the core as Docker shows it. What Docker knows and the core does not is kept in labels of our own. */
import type { AttachmentRecord, NetworkRecord } from '#api/gen/gantry/services/networks/v1/networks.ts'
import type { ContainerSummary } from '../engine/containers.ts'
import { endpointId } from '../engine/endpoint-id.ts'
import { type ApiVersion, atLeast } from '../http/api-version.ts'

/** Labels with this beginning are never shown. */
export const ownLabelPrefix = 'gantry.docker/'
export const optionsLabel = `${ownLabelPrefix}options`
export const ipamLabel = `${ownLabelPrefix}ipam`
export const attachableLabel = `${ownLabelPrefix}attachable`
export const ipv6Label = `${ownLabelPrefix}ipv6`

/** Docker's names for the drivers of the networks that are always there. */
const driverNames: Readonly<Record<string, string>> = { none: 'null' }

export function dockerDriver(driver: string): string {
  return driverNames[driver] ?? driver
}

export const predefined: ReadonlySet<string> = new Set(['bridge', 'host', 'none', 'default'])

/** Members of Docker's default bridge that clients show. */
const bridgeOptions = {
  'com.docker.network.bridge.default_bridge': 'true',
  'com.docker.network.bridge.enable_icc': 'true',
  'com.docker.network.bridge.enable_ip_masquerade': 'true',
  'com.docker.network.bridge.host_binding_ipv4': '0.0.0.0',
} as const

export function describeNetwork(
  record: NetworkRecord,
  version: ApiVersion,
  containers: readonly ContainerSummary[] | undefined,
): object {
  const { network, driver, createdAt, attachments } = record
  const labels = network?.labels ?? {}
  const isPlain = driver === 'bridge'
  const hasIpv6 = (network?.subnets ?? []).some(({ cidr }) => cidr.includes(':'))
  return {
    Name: network?.name ?? '',
    Id: network?.id ?? '',
    Created: timeText(createdAt),
    Scope: 'local',
    Driver: dockerDriver(driver),
    ...(atLeast(version, '1.48') && { EnableIPv4: isPlain ? network?.disableIpv4 !== true : true }),
    EnableIPv6: labels[ipv6Label] === undefined ? hasIpv6 : labels[ipv6Label] === 'true',
    IPAM: ipamOf(record),
    Internal: network?.internal ?? false,
    Attachable: labels[attachableLabel] === 'true',
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: containers === undefined ? {} : membersOf(attachments, containers),
    Options: optionsOf(record),
    Labels: shownLabels(record),
  }
}

export function shownLabels({ network }: NetworkRecord): Record<string, string> {
  const labels = Object.entries(network?.labels ?? {})
  return Object.fromEntries(labels.filter(([key]) => !key.startsWith(ownLabelPrefix)))
}

function optionsOf({ network }: NetworkRecord): object {
  const kept = network?.labels[optionsLabel]
  if (kept !== undefined) return JSON.parse(kept)
  const mtu = network?.mtu ? { 'com.docker.network.driver.mtu': `${network.mtu}` } : {}
  if (network?.name === 'bridge') return { ...bridgeOptions, ...network.options, ...mtu }
  return network?.options ?? {}
}

function ipamOf({ network }: NetworkRecord): object {
  const kept = JSON.parse(network?.labels[ipamLabel] ?? '{"Driver":"default","Options":null}')
  const config = (network?.subnets ?? []).map(({ cidr, gateway, range, reserved }) => ({
    Subnet: cidr,
    ...(range !== '' && { IPRange: range }),
    ...(gateway !== '' && { Gateway: gateway }),
    ...(Object.keys(reserved).length > 0 && { AuxiliaryAddresses: swapped(reserved) }),
  }))
  return { ...kept, Config: config.length === 0 ? (network?.name === 'bridge' ? [] : null) : config }
}

/** Docker has them by name, the core by address. */
function swapped(reserved: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(reserved).map(([address, name]) => [name, address]))
}

function membersOf(attachments: readonly AttachmentRecord[], containers: readonly ContainerSummary[]): object {
  const names = new Map(containers.map(({ id, name }) => [id, name]))
  const members = attachments.map(({ containerId, networkId, result }) => {
    const addresses = (result?.ips ?? []).map(({ address }) => address)
    const member = {
      Name: names.get(containerId) ?? containerId,
      EndpointID: endpointId(networkId, containerId),
      MacAddress: result?.interfaces.find(({ mac, sandbox }) => mac !== '' && sandbox !== '')?.mac ?? '',
      IPv4Address: addresses.find(address => !address.includes(':')) ?? '',
      IPv6Address: addresses.find(address => address.includes(':')) ?? '',
    }
    return [containerId, member]
  })
  return Object.fromEntries(members)
}

function timeText(at: { seconds: bigint; nanos: number } | undefined): string {
  const { seconds = 0n, nanos = 0 } = at ?? {}
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, 19)
  return `${whole}.${String(nanos).padStart(9, '0')}Z`
}

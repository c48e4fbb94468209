/** Network options, in Docker's names. */
import { invalidArgument } from '#api/errors/errors.ts'
import type { Network } from '#sdk/network.ts'
import { type Family, familyOf, parseAddress } from '#sdk/network-addresses.ts'
import { type Overlay, overlayOptions, readOverlay } from './overlay.ts'

const prefix = 'com.docker.network.'
const namesOption = 'gantry.network.names'

export interface BridgeOptions {
  /** Empty: derived. */
  readonly bridgeName: string
  readonly masquerade: boolean
  /** Containers of the network reach one another. */
  readonly intraTraffic: boolean
  /** Where ports without an address are published, by family; empty: everywhere. */
  readonly hostBindingIpv4: string
  readonly hostBindingIpv6: string
  /** Containers find one another by name. */
  readonly names: boolean
  /** Bytes; 0: not given here. */
  readonly mtu: number
  /** It spans several hosts. */
  readonly overlay: Overlay | undefined
}

/** INVALID_ARGUMENT for an option nobody knows, or a bad value. */
export function readOptions({ name, options }: Pick<Network, 'name' | 'options'>): BridgeOptions {
  const known: Readonly<Record<string, string>> = {
    [`${prefix}bridge.name`]: '',
    [`${prefix}bridge.enable_ip_masquerade`]: 'true',
    [`${prefix}bridge.enable_icc`]: 'true',
    [`${prefix}bridge.host_binding_ipv4`]: '',
    [`${prefix}bridge.host_binding_ipv6`]: '',
    [`${prefix}driver.mtu`]: '0',
    // Docker's default network has no names of its own: programs on it expect the host's resolvers as they are.
    [namesOption]: String(name !== 'bridge'),
    ...Object.fromEntries(Object.values(overlayOptions).map(key => [key, ''])),
  }
  const unknown = Object.keys(options).find(key => !(key in known))
  if (unknown !== undefined)
    throw invalidArgument(`network.options: "${unknown}" is not one of ${Object.keys(known).join(', ')}`)
  const value = (key: string) => optionOf(`${prefix}${key}`)
  const optionOf = (key: string) => options[key] ?? known[key] ?? ''
  return {
    bridgeName: linkName(value('bridge.name')),
    masquerade: truth(`${prefix}bridge.enable_ip_masquerade`, value('bridge.enable_ip_masquerade')),
    intraTraffic: truth(`${prefix}bridge.enable_icc`, value('bridge.enable_icc')),
    hostBindingIpv4: bindingAddress(4, value('bridge.host_binding_ipv4')),
    hostBindingIpv6: bindingAddress(6, value('bridge.host_binding_ipv6')),
    names: truth(namesOption, optionOf(namesOption)),
    mtu: mtu(value('driver.mtu')),
    overlay: readOverlay({ options }),
  }
}

function linkName(name: string): string {
  if (name === '' || (/^[A-Za-z0-9_.-]+$/.test(name) && name.length <= 15 && !/^\.+$/.test(name))) return name
  throw invalidArgument(
    `network.options: ${prefix}bridge.name "${name}" is no name for a link: at most 15 letters, digits, "_", "-" and "."`,
  )
}

function truth(key: string, value: string): boolean {
  if (value === 'true' || value === '1') return true
  if (value === 'false' || value === '0') return false
  throw invalidArgument(`network.options: ${key} "${value}" is neither "true" nor "false"`)
}

function bindingAddress(family: Family, value: string): string {
  if (
    value === '' ||
    familyOf(parseAddress(value, `network.options: ${prefix}bridge.host_binding_ipv${family}`)) === family
  )
    return value
  throw invalidArgument(
    `network.options: ${prefix}bridge.host_binding_ipv${family} "${value}" is not an IPv${family} address`,
  )
}

function mtu(value: string): number {
  const bytes = Number(value)
  if (Number.isInteger(bytes) && (bytes === 0 || (bytes >= 68 && bytes <= 65_535))) return bytes
  throw invalidArgument(`network.options: ${prefix}driver.mtu "${value}" is not between 68 and 65535 bytes`)
}

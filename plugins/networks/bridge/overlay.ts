/**
 * One network on several hosts: a VXLAN link in the bridge carries its frames to the bridges of the peers, which have the same
 * options (each host naming the others), the same subnet, and each a gateway and a range of addresses of its own.
 */
import { invalidArgument } from '#api/errors/errors.ts'
import { isSysError } from '#api/sys/sys.ts'
import type { Network } from '#sdk/network.ts'
import { contains, familyOf, parseAddress } from '#sdk/network-addresses.ts'
import {
  addVxlanPeer,
  createVxlan,
  deleteLink,
  findLink,
  listAddresses,
  listLinks,
  perform,
  setAlias,
  setBridgePort,
} from '#sdk/rtnetlink/rtnetlink.ts'

export const overlayOptions = {
  id: 'gantry.network.vxlan.id',
  local: 'gantry.network.vxlan.local',
  peers: 'gantry.network.vxlan.peers',
  port: 'gantry.network.vxlan.port',
} as const

const assignedPort = 4789
const highestId = 2 ** 24 - 1
/** Outer Ethernet, IP, UDP and VXLAN headers. */
const overheadBytes = { 4: 50, 6: 70 } as const

export interface Overlay {
  /** VNI: the same on all hosts. */
  readonly id: number
  /** The host's own address; the peers name it. */
  readonly local: string
  readonly peers: readonly string[]
  readonly port: number
}

/** Undefined: a network of this host alone. INVALID_ARGUMENT names the option. */
export function readOverlay({ options }: Pick<Network, 'options'>): Overlay | undefined {
  const [idText, localText] = [options[overlayOptions.id], options[overlayOptions.local]]
  const given = Object.values(overlayOptions).filter(key => options[key] !== undefined)
  if (given.length === 0) return undefined
  if (idText === undefined || localText === undefined)
    throw invalidArgument(`network.options: ${given[0]} needs ${overlayOptions.id} and ${overlayOptions.local} too`)
  const id = wholeNumber(overlayOptions.id, idText, 1, highestId)
  const local = parseAddress(localText, `network.options: ${overlayOptions.local}`)
  const peers = (options[overlayOptions.peers] ?? '')
    .split(/[\s,]+/)
    .filter(text => text !== '')
    .map(text => parseAddress(text, `network.options: ${overlayOptions.peers}`))
  const stranger = peers.find(peer => familyOf(peer) !== familyOf(local) || peer === local)
  if (stranger)
    throw invalidArgument(
      `network.options: ${overlayOptions.peers}: ${stranger} is no other host of the family of ${local}`,
    )
  const port = wholeNumber(overlayOptions.port, options[overlayOptions.port] ?? String(assignedPort), 1, 65_535)
  return { id, local, peers, port }
}

function wholeNumber(key: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= least && value <= most) return value
  throw invalidArgument(`network.options: ${key} "${text}" is no whole number between ${least} and ${most}`)
}

/** What is left of a packet of the link that has the local address. INVALID_ARGUMENT: no link has it. */
export async function overlayMtu({ local }: Overlay): Promise<number> {
  const own = (await listAddresses()).find(({ address }) => address === local)
  const link = (await listLinks()).find(({ index }) => index === own?.index)
  if (link === undefined)
    throw invalidArgument(`network.options: ${overlayOptions.local} ${local} is no address of this host`)
  return link.mtu - overheadBytes[familyOf(local)]
}

export interface OverlayLink {
  readonly name: string
  readonly alias: string
  /** Index of the bridge. */
  readonly bridge: number
  readonly mtu: number
  readonly isolated: boolean
}

/** Makes the link, or what of it is missing. INVALID_ARGUMENT: another link has the id and port. */
export async function ensureOverlay(overlay: Overlay, wanted: OverlayLink): Promise<void> {
  const { name, alias, bridge, mtu, isolated } = wanted
  if ((await findLink(name))?.master !== bridge) {
    await removeOverlay(name)
    await perform([createVxlan({ ...overlay, name, mtu, master: bridge }), setAlias(name, alias)]).catch(error => {
      if (!isSysError(error, 'EEXIST')) throw error
      throw invalidArgument(
        `network.options: ${overlayOptions.id} ${overlay.id} at port ${overlay.port} is in use on this host`,
      )
    })
  }
  const link = await findLink(name)
  const peers = overlay.peers.map(peer => addVxlanPeer(link?.index ?? 0, peer))
  await perform([setBridgePort(name, { hairpin: false, isolated }), ...peers])
}

/** Gone already: success. */
export async function removeOverlay(name: string): Promise<void> {
  await perform([deleteLink(name)]).catch(error => {
    if (!isSysError(error, 'ENODEV')) throw error
  })
}

/** The subnet of a peer must not be reached through the overlay itself: INVALID_ARGUMENT. */
export function refuseLoop(
  { local, peers }: Overlay,
  subnets: readonly { subnet: Parameters<typeof contains>[0] }[],
): void {
  const inside = [local, ...peers].find(address => subnets.some(({ subnet }) => contains(subnet, address)))
  if (inside) throw invalidArgument(`network.options: ${inside} lies in a subnet of the network it is to carry`)
}

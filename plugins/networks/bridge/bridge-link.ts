/** The bridge of a network in the kernel. */
import { readFile, writeFile } from 'node:fs/promises'
import { failedPrecondition } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import { isSysError } from '#api/sys/sys.ts'
import { formatIpv4Subnet, overlaps } from '#sdk/network-addresses.ts'
import {
  addAddress,
  createBridge,
  deleteLink,
  findLink,
  type LinkInfo,
  listLinks,
  listRoutes,
  perform,
  setAlias,
  setLinkUp,
} from '#sdk/rtnetlink/rtnetlink.ts'
import { macFor } from './addresses.ts'
import type { NetworkRow } from './ledger.ts'
import { bridgeAlias } from './names.ts'
import { planOf } from './subnets.ts'

const defaultMtu = 1500

/**
 * Makes the bridge, or what of it is missing, and answers it. FAILED_PRECONDITION: a link of that name is somebody
 * else's.
 */
export async function ensureBridge(row: NetworkRow, instance: string, log: Logger): Promise<LinkInfo> {
  const { network, bridge } = row
  const { gateway, subnet } = planOf(network)
  const alias = bridgeAlias(instance, network.id)
  const link = (await findLink(bridge)) ?? (await makeBridge(row, alias))
  if (link.alias !== alias) throw foreignLink(bridge, link)
  await perform([addAddress(link.index, gateway, subnet.prefix), setLinkUp(bridge)])
  // Published ports are reached through 127.0.0.1 too; the firewall keeps the containers out of it.
  await setSysctl(`net/ipv4/conf/${bridge}/route_localnet`, '1')
  if (await setSysctl('net/ipv4/ip_forward', '1'))
    log.warn({ sysctl: 'net.ipv4.ip_forward' }, 'turned IP forwarding on: the host now routes packets')
  return link
}

/** The link of that name is not ours: FAILED_PRECONDITION says whose. */
export function foreignLink(name: string, { kind, alias }: Pick<LinkInfo, 'kind' | 'alias'>) {
  const whose = alias === '' ? 'not made by gantry' : `marked "${alias}"`
  return failedPrecondition(
    `link "${name}" exists (${kind || 'physical'}, ${whose}): choose another bridge name or delete it`,
  )
}

async function makeBridge({ network, bridge: name }: NetworkRow, alias: string): Promise<LinkInfo> {
  const { gateway, subnet } = planOf(network)
  // While the bridge was away (a reboot, a stop), somebody may have begun to use its addresses.
  const conflict = (await listRoutes()).find(
    ({ destination }) => destination.prefix > 0 && overlaps(destination, subnet),
  )
  if (conflict)
    throw failedPrecondition(
      `network "${network.name}": its subnet ${formatIpv4Subnet(subnet)} now overlaps the host's route ${formatIpv4Subnet(conflict.destination)}; remove one of them`,
    )
  // A fixed address: a bridge without one takes the lowest of its ports', and changes it as they come and go.
  await perform([createBridge({ name, mac: macFor(gateway), mtu: network.mtu }), setAlias(name, alias)])
  const link = await findLink(name)
  if (link === undefined) throw failedPrecondition(`bridge "${name}" vanished while it was made`)
  return link
}

export async function removeBridge(name: string): Promise<void> {
  await perform([deleteLink(name)]).catch(error => {
    if (!isSysError(error, 'ENODEV')) throw error
  })
}

/** MTU of the link with the default route; containers' packets leave by it. */
export async function mtuOfDefaultRoute(): Promise<number> {
  const route = (await listRoutes()).find(({ destination }) => destination.prefix === 0)
  const link = (await listLinks()).find(({ index }) => index === route?.index)
  return link?.mtu ?? defaultMtu
}

/** True when the value had to be changed. */
async function setSysctl(name: string, value: string): Promise<boolean> {
  const path = `/proc/sys/${name}`
  if ((await readFile(path, 'utf8')).trim() === value) return false
  await writeFile(path, value)
  return true
}

/** The bridge of a network in the kernel. */
import { failedPrecondition } from '#api/errors/errors.ts'
import { isSysError } from '#api/sys/sys.ts'
import type { NetworkEnv } from '#sdk/define-network.ts'
import { formatSubnet, overlaps } from '#sdk/network-addresses.ts'
import { listRoutes, type RouteInfo } from '#sdk/rtnetlink/routes.ts'
import {
  addAddress,
  createBridge,
  deleteLink,
  findLink,
  findLinkAt,
  type LinkInfo,
  perform,
  setAlias,
  setLinkUp,
} from '#sdk/rtnetlink/rtnetlink.ts'
import { macFor } from './addresses.ts'
import { forwardPackets, prepareLink } from './host-settings.ts'
import type { NetworkRow } from './ledger.ts'
import { bridgeAlias } from './names.ts'
import { planOf } from './subnets.ts'

const defaultMtu = 1500

type BridgeEnv = Pick<NetworkEnv<unknown>, 'instance' | 'log' | 'step'>

/**
 * Makes the bridge, or what of it is missing, and answers it. FAILED_PRECONDITION: a link of that name is somebody
 * else's. `isNew`: the host's routes were looked at when its subnets were chosen, just now.
 */
export async function ensureBridge(
  row: NetworkRow,
  { instance, log, step }: BridgeEnv,
  isNew = false,
): Promise<LinkInfo> {
  const { network, bridge } = row
  const plans = planOf(network.subnets)
  const alias = bridgeAlias(instance, network.id)
  const link = (await findLink(bridge)) ?? (await makeBridge(row, alias, isNew))
  if (link.alias !== alias) throw foreignLink(bridge, link)
  step('bridge made')
  const families = [...new Set(plans.map(({ subnet }) => subnet.family))]
  await prepareLink(bridge, families)
  step('bridge prepared')
  const addresses = plans.map(({ gateway, subnet }) => addAddress(link.index, gateway, subnet.prefix))
  await perform([...addresses, setLinkUp(bridge)])
  step('bridge addressed')
  await forwardPackets(families, log)
  step('packets forwarded')
  return link
}

/** The link of that name is not ours: FAILED_PRECONDITION says whose. */
export function foreignLink(name: string, { kind, alias }: Pick<LinkInfo, 'kind' | 'alias'>) {
  const whose = alias === '' ? 'not made by gantry' : `marked "${alias}"`
  return failedPrecondition(
    `link "${name}" exists (${kind || 'physical'}, ${whose}): choose another bridge name or delete it`,
  )
}

async function makeBridge({ network, bridge: name }: NetworkRow, alias: string, isNew: boolean): Promise<LinkInfo> {
  const plans = planOf(network.subnets)
  // While the bridge was away (a reboot, a stop), somebody may have begun to use its addresses.
  const routes = (isNew ? [] : await listRoutes()).filter(({ destination }) => destination.prefix > 0)
  for (const { subnet, cidr } of plans) {
    const conflict = routes.find(({ destination }) => overlaps(destination, subnet))
    if (conflict)
      throw failedPrecondition(
        `network "${network.name}": its subnet ${cidr} now overlaps the host's route ${formatSubnet(conflict.destination)}; remove one of them`,
      )
  }
  // A fixed address: a bridge without one takes the lowest of its ports', and changes it as they come and go.
  await perform([
    createBridge({ name, mac: macFor(plans[0]?.gateway ?? '0.0.0.0'), mtu: network.mtu }),
    setAlias(name, alias),
  ])
  const link = await findLink(name)
  if (link === undefined) throw failedPrecondition(`bridge "${name}" vanished while it was made`)
  return link
}

export async function removeBridge(name: string): Promise<void> {
  await perform([deleteLink(name)]).catch(error => {
    if (!isSysError(error, 'ENODEV')) throw error
  })
}

/** MTU of the link with the default route, of all the host's; containers' packets leave by it. */
export async function mtuOfDefaultRoute(routes: readonly RouteInfo[]): Promise<number> {
  const index = routes.find(({ destination }) => destination.prefix === 0)?.index
  const link = index === undefined ? undefined : await findLinkAt(index)
  return link?.mtu ?? defaultMtu
}

/** A container's interface: a macvlan link, born in its network namespace. */
import { closeSync, openSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { alreadyExists, failedPrecondition, messageOf, notFound } from '#api/errors/errors.ts'
import { isSysError } from '#api/sys/sys.ts'
import type { Network } from '#sdk/network.ts'
import { contains, familyOf, parseSubnet } from '#sdk/network-addresses.ts'
import {
  addAddress,
  addDefaultRoute,
  createMacvlan,
  deleteLink,
  findLink,
  type LinkInfo,
  listAddresses,
  perform,
  raiseLink,
} from '#sdk/rtnetlink/rtnetlink.ts'
import { readOptions } from './options.ts'
import type { AttachmentRow } from './records.ts'

/** How long a namespace may take to be gone. */
const leavingMs = 5000
const lookAgainMs = 20

export interface PlannedAddress {
  readonly address: string
  readonly prefix: number
  readonly gateway: string
}

export function plannedAddresses({ addresses }: AttachmentRow, { subnets }: Network): PlannedAddress[] {
  return addresses.flatMap(address => {
    const own = subnets.find(({ cidr }) => contains(parseSubnet(cidr), address))
    return own ? { address, prefix: parseSubnet(own.cidr).prefix, gateway: own.gateway } : []
  })
}

/** Makes the interface, or what of it is missing. NOT_FOUND: no namespace. FAILED_PRECONDITION: the parent carries no (more) macvlan. */
export async function plug(row: AttachmentRow, network: Network, parent: number): Promise<void> {
  const where = { netns: row.netnsPath }
  const { interfaceName: name, mac } = row
  const present = await findLink(name, where).catch(cause => {
    throw notFound(`no network namespace at "${row.netnsPath}" (${messageOf(cause)})`, { cause })
  })
  if (present && present.mac !== mac)
    throw alreadyExists(`interface "${name}" (${present.mac}) in the namespace "${row.netnsPath}"`)
  if (present === undefined) await makeLink(row, network, parent)
  const { index } = await raise(row, Date.now() + leavingMs)
  const planned = plannedAddresses(row, network)
  const requests = planned.map(({ address, prefix }) => addAddress(index, address, prefix))
  if (row.defaultRoute) requests.push(...planned.map(({ gateway }) => addDefaultRoute(gateway, index, row.metric)))
  await perform(requests, where)
}

/**
 * A parent has each MAC once, and ours is made of the address, which an earlier container may have had: the kernel takes a
 * moment to take its namespace down. FAILED_PRECONDITION: somebody keeps it.
 */
async function raise(row: AttachmentRow, untilMs: number): Promise<LinkInfo> {
  const { interfaceName: name, mac, netnsPath } = row
  try {
    return await raiseLink(name, { netns: netnsPath })
  } catch (cause) {
    if (!isSysError(cause, 'EADDRINUSE')) throw cause
    if (Date.now() > untilMs)
      throw failedPrecondition(`MAC ${mac} is in use by another macvlan link of the same parent: choose another one`, {
        cause,
      })
    await sleep(lookAgainMs)
    return raise(row, untilMs)
  }
}

async function makeLink(
  { interfaceName: name, mac, netnsPath }: AttachmentRow,
  network: Network,
  parent: number,
): Promise<void> {
  const { mode, parent: parentName } = readOptions(network)
  const fd = openSync(netnsPath, 'r')
  try {
    await perform([createMacvlan({ name, mac, mtu: network.mtu, parent, mode, netnsFd: fd })])
  } catch (error) {
    if (isSysError(error) && ['EBUSY', 'EINVAL', 'EADDRINUSE'].includes(error.code))
      throw failedPrecondition(
        `parent "${parentName}" takes no macvlan link in mode ${mode} (${messageOf(error)}): it is in a bridge, passed through to another container, or has this MAC already`,
        { cause: error },
      )
    throw error
  } finally {
    closeSync(fd)
  }
}

/** The link and its namespace may have gone already: success. */
export async function unplug({ interfaceName: name, mac, netnsPath }: AttachmentRow): Promise<void> {
  const where = { netns: netnsPath }
  const link = await findLink(name, where).catch(() => undefined)
  if (link?.mac !== mac || link.kind !== 'macvlan') return
  await perform([deleteLink(name)], where).catch(error => {
    if (!isSysError(error, 'ENODEV')) throw error
  })
}

/** FAILED_PRECONDITION names what differs from what {@link plug} makes. */
export async function checkPlugged(row: AttachmentRow, network: Network, netns: string): Promise<void> {
  const differs = (what: string) => failedPrecondition(`attachment of ${row.containerId}: ${what}`)
  const link = await findLink(row.interfaceName, { netns }).catch(() => undefined)
  if (!link?.up) throw differs(`interface "${row.interfaceName}" is missing or down`)
  if (link.mac !== row.mac) throw differs(`interface "${row.interfaceName}" has MAC ${link.mac}, not ${row.mac}`)
  const found = await listAddresses({ netns })
  const lacking = plannedAddresses(row, network).find(
    wanted => !found.some(({ index, address }) => index === link.index && address === wanted.address),
  )
  if (lacking)
    throw differs(
      `interface "${row.interfaceName}" lacks the IPv${familyOf(lacking.address)} address ${lacking.address}`,
    )
}

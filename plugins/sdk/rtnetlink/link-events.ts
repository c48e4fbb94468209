/** Losses among the links of this process' network namespace, as the kernel tells of them: rtnetlink(7). */
import { parseAttributes } from 'netlink/dist/structs.js'
import { netlinkSubscribe } from '#api/sys/sys.ts'

const NETLINK_ROUTE = 0
/** enum rtnetlink_groups. */
const RTNLGRP = { link: 1, ipv4Address: 5, ipv6Address: 9 } as const
const RTM = { newLink: 16, delLink: 17, delAddress: 21 } as const
const HEADER_BYTES = 16
/** struct ifinfomsg and struct ifaddrmsg. */
const LINK_BYTES = 16
const IFF_UP = 1
const IFLA_IFNAME = 3

/**
 * Calls back with the name of a link that was deleted, went down, or lost an address; of any link whose names this
 * process has heard of, when messages were lost.
 */
export function watchLinks(onLoss: (name: string) => void): Disposable {
  const names = new Map<number, string>()
  const groups = [RTNLGRP.link, RTNLGRP.ipv4Address, RTNLGRP.ipv6Address]
  return netlinkSubscribe(NETLINK_ROUTE, groups, (messages, lost) => {
    if (lost) for (const name of new Set(names.values())) onLoss(name)
    for (const message of messages) read(message, names, onLoss)
  })
}

function read(message: Buffer, names: Map<number, string>, onLoss: (name: string) => void): void {
  const type = message.readUInt16LE(4)
  const body = message.subarray(HEADER_BYTES)
  const index = body.length >= 8 ? body.readInt32LE(4) : 0
  if (type === RTM.delAddress) {
    const name = names.get(index)
    if (name !== undefined) onLoss(name)
    return
  }
  if (type !== RTM.newLink && type !== RTM.delLink) return
  const name = nameOf(body.subarray(LINK_BYTES))
  const isDown = (body.readUInt32LE(8) & IFF_UP) === 0
  if (type === RTM.delLink) names.delete(index)
  else names.set(index, name)
  if (type === RTM.delLink || isDown) onLoss(name)
}

function nameOf(attributes: Buffer): string {
  let name = ''
  parseAttributes(attributes, ({ type, data }) => {
    if (type === IFLA_IFNAME) name = data.toString('latin1').replace(/\0.*$/s, '')
  })
  return name
}

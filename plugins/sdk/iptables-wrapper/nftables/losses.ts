/** What anybody deletes from nf_tables, as the kernel tells every listener at once: nfnetlink's multicast group of changes. */
import { parseAttributes } from 'netlink/dist/structs.js'
import { netlinkSubscribe, type Subscription } from '#api/sys/sys.ts'
import { NETLINK_NETFILTER, NFNL_SUBSYS_NFTABLES } from './messages.ts'
import { MSG } from './nfnetlink.ts'

/** enum nfnetlink_groups. */
const NFNLGRP_NFTABLES = 7
/** struct nlmsghdr and struct nfgenmsg. */
const HEADER_BYTES = 20
const TABLE_NAME = 1

/** What somebody took away from one of our tables: the table itself or parts of it, or elements of sets. */
export type Loss = 'parts' | 'elements'

/** Calls back for what anybody, this process included, deletes from a table. Lost messages count as lost parts. */
export function subscribeToLosses(table: string, onLoss: (loss: Loss) => void): Subscription {
  const types = [MSG.deleteTable, MSG.deleteChain, MSG.deleteRule, MSG.deleteSet, MSG.deleteElements]
  return subscribe(types, (messages, lost) => {
    if (lost) onLoss('parts')
    for (const message of messages) {
      // The table's name is the first attribute of all of these; only its text is looked for.
      if (!message.subarray(HEADER_BYTES, 160).includes(`${table}\0`)) continue
      onLoss(typeOf(message) === MSG.deleteElements ? 'elements' : 'parts')
    }
  })
}

/** Calls back with the name of each table that anybody deletes, or a rule or chain of it; empty: messages were lost. */
export function subscribeToRuleLosses(onLoss: (table: string) => void): Subscription {
  return subscribe([MSG.deleteTable, MSG.deleteChain, MSG.deleteRule], (messages, lost) => {
    if (lost) onLoss('')
    for (const message of messages)
      parseAttributes(message.subarray(HEADER_BYTES), ({ type, data }) => {
        if (type === TABLE_NAME) onLoss(data.toString('utf8').replace(/\0$/, ''))
      })
  })
}

function subscribe(types: readonly number[], onMessages: (messages: Buffer[], lost: boolean) => void): Subscription {
  const wanted = types.map(type => (NFNL_SUBSYS_NFTABLES << 8) | type)
  return netlinkSubscribe(NETLINK_NETFILTER, [NFNLGRP_NFTABLES], onMessages, { types: wanted })
}

function typeOf(message: Buffer): number {
  return message.readUInt16LE(4) & 255
}

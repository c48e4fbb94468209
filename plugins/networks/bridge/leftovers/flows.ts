/**
 * Tracked connections with addresses of ours that no container has. A UDP flow of a container that has gone would catch the
 * packets of the next one to get its address or its port, for as long as its client goes on.
 */

import { deleteFlow, type Flow, listFlows } from '#sdk/iptables-wrapper/conntrack.ts'
import type { Leftover } from '#sdk/leftover.ts'
import { contains, familyOf } from '#sdk/network-addresses.ts'
import type { Ledger } from '../ledger.ts'
import { type AddressPlan, planOf } from '../subnets.ts'

export async function strayFlows(ledger: Ledger): Promise<Leftover[]> {
  const flows = await listFlows()
  if (flows.length === 0) return []
  const plans = ledger.networks().flatMap(({ network }) => planOf(network.subnets))
  const held = new Set(ledger.attachments().flatMap(({ addresses }) => addresses.map(({ address }) => address)))
  const isNobody = (address: string) => !held.has(address) && isContainers(plans, address)
  return flows
    .filter(({ source, answerer }) => isNobody(source) || isNobody(answerer))
    .map(flow => ({ what: `connection ${textOf(flow)}`, remove: () => deleteFlow(flow) }))
}

/** An address that a container could have had: not the gateway, nor a group. */
function isContainers(plans: readonly AddressPlan[], address: string): boolean {
  const family = familyOf(address)
  return plans.some(
    ({ subnet, excluded }) => subnet.family === family && contains(subnet, address) && !excluded.has(address),
  )
}

function textOf({ source, destination, answerer }: Flow): string {
  return `${source} to ${destination}${answerer === destination ? '' : ` (${answerer})`}`
}

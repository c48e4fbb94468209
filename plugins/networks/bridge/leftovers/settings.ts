/** Kernel settings of our bridges that are open wider than their networks need. */
import type { Leftover } from '#sdk/leftover.ts'
import { strayLinkSettings } from '../host-settings.ts'
import type { Ledger } from '../ledger.ts'
import { planOf } from '../subnets.ts'

export async function straySettings(ledger: Ledger): Promise<Leftover[]> {
  const found = ledger.networks().map(async ({ network, bridge }) => {
    const families = planOf(network.subnets).map(({ subnet }) => subnet.family)
    return await strayLinkSettings(bridge, families)
  })
  return (await Promise.all(found))
    .flat()
    .map(({ name, value, set }) => ({ what: `setting ${name} = ${value}`, remove: set }))
}

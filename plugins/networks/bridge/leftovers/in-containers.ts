/** In the namespaces of containers that stay: the way to a name server that they have no more. */
import { isSysError } from '#api/sys/sys.ts'
import { hasRedirect, removeRedirect } from '#sdk/iptables-wrapper/nftables/loopback-redirect.ts'
import type { Leftover } from '#sdk/leftover.ts'
import type { Ledger } from '../ledger.ts'
import { readOptions } from '../options.ts'

export async function straysInContainers(ledger: Ledger): Promise<Leftover[]> {
  const rows = ledger.attachments().filter(({ netnsPath }) => netnsPath !== '')
  const hasNames = (networkId: string) => {
    const network = ledger.network(networkId)?.network
    return network !== undefined && readOptions(network).names
  }
  const served = new Set(rows.filter(({ networkId }) => hasNames(networkId)).map(({ netnsPath }) => netnsPath))
  const unserved = new Set(rows.map(({ netnsPath }) => netnsPath).filter(path => !served.has(path)))
  const found: Leftover[] = []
  for (const netns of unserved)
    if (await hasRedirect(netns).catch(ignoreGone))
      found.push({ what: `name server's redirection in ${netns}`, remove: () => removeRedirect(netns) })
  return found
}

function ignoreGone(error: unknown): false {
  if (isSysError(error)) return false
  throw error
}

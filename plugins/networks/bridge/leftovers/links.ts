/** Links that are ours by their name or their mark, and belong to no network, attachment or departure. */
import { isSysError } from '#api/sys/sys.ts'
import type { Leftover } from '#sdk/leftover.ts'
import { deleteLink, type LinkInfo, listLinks, perform } from '#sdk/rtnetlink/rtnetlink.ts'
import type { Ledger } from '../ledger.ts'
import { aliasPrefix, linkPrefix } from '../names.ts'

/** Of any kind: veth, bridge, and what other versions of us made. */
export async function strayLinks(instance: string, ledger: Ledger): Promise<Leftover[]> {
  const links = await listLinks()
  const owned = new Set([
    ...ledger.networks().flatMap(({ bridge, overlay }) => (overlay ? [bridge, overlay] : bridge)),
    ...ledger.attachments().map(({ hostLink }) => hostLink),
    ...ledger.departures().map(({ hostLink }) => hostLink),
  ])
  const isOurs = (link: LinkInfo) =>
    link.name.startsWith(linkPrefix(instance)) || link.alias.startsWith(aliasPrefix(instance))
  return links
    .filter(link => isOurs(link) && !owned.has(link.name))
    .map(({ name, kind }) => ({ what: `link ${name} (${kind || 'physical'})`, remove: () => removeLink(name) }))
}

/** Both halves of a veth pair may be in the list; with the first the second is gone. */
async function removeLink(name: string): Promise<void> {
  await perform([deleteLink(name)]).catch(error => {
    if (!isSysError(error, 'ENODEV')) throw error
  })
}

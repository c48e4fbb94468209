/** The link of the host that a network hangs on. */
import { failedPrecondition, notFound } from '#api/errors/errors.ts'
import { findLink, type LinkInfo } from '#sdk/rtnetlink/rtnetlink.ts'

/** NOT_FOUND: there is no such link. FAILED_PRECONDITION: it is down. */
export async function findParent(name: string): Promise<LinkInfo> {
  const link = await findLink(name)
  if (link === undefined) throw notFound(`network.options: parent "${name}": no such link on this host`)
  if (!link.up) throw failedPrecondition(`network.options: parent "${name}" is down: bring it up first`)
  return link
}

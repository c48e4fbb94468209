/**
 * `--link` on a network whose containers do not find one another by name (Docker's default one): the other container's
 * addresses go into /etc/hosts, as they are at that moment. Where there are names, the network's own resolver answers.
 */
import { failedPrecondition } from '#api/errors/errors.ts'
import type { AttachmentRecord, Networks } from '#core/networks/networks.ts'

/** Lines as in hosts(5). FAILED_PRECONDITION: a linked container is not attached to the network now. */
export async function linkHosts(
  networks: Networks,
  ns: string,
  attachments: readonly AttachmentRecord[],
): Promise<string[]> {
  const nameless = attachments.filter(({ result, links }) => result.dns === undefined && Object.keys(links).length > 0)
  const lines = await Promise.all(nameless.map(attachment => linesOf(networks, ns, attachment)))
  return lines.flat()
}

async function linesOf(networks: Networks, ns: string, { networkId, networkName, links }: AttachmentRecord) {
  const { attachments } = await networks.get(ns, networkId)
  return Object.entries(links).flatMap(([alias, target]) => {
    const other = attachments.find(({ names }) => names.includes(target))
    if (other === undefined)
      throw failedPrecondition(`link to "${target}": it is not on network "${networkName}"; start it first`)
    const names = [...new Set([alias, ...other.names])].join(' ')
    return other.result.ips.map(({ address }) => `${address.split('/')[0]}\t${names}`)
  })
}

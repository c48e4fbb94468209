/** What an update makes of an attachment. */
import type { PublishedPort } from '#sdk/iptables-wrapper/firewall.ts'
import type { Network, UpdateRequest } from '#sdk/network.ts'
import { checkedOptions } from './endpoint-options.ts'
import type { HostPorts } from './host-ports.ts'
import { type AttachmentRow, describe } from './ledger.ts'
import { directed, fits, takePorts } from './port-wishes.ts'

export interface Change {
  /** As it is to be. */
  readonly row: AttachmentRow
  readonly opened: readonly PublishedPort[]
  readonly closed: readonly PublishedPort[]
}

/** Takes the host's ports for what is opened; the caller releases what is closed. Errors of {@link takePorts}. */
export async function changeOf(
  row: AttachmentRow,
  { publish, unpublish, names, endpointOptions }: UpdateRequest,
  network: Network,
  hostPorts: HostPorts,
): Promise<Change> {
  const options = endpointOptions ? checkedOptions(endpointOptions.values) : row.options
  const closed = row.ports.filter(port => unpublish.some(mapping => fits(mapping, port)))
  const kept = row.ports.filter(port => !closed.includes(port))
  const wanted = publish.filter(mapping => mapping.hostPort === 0 || !kept.some(port => fits(mapping, port)))
  const opened = directed(await takePorts(hostPorts, network, wanted, describe(row)), row.addresses)
  const changed = {
    ...row,
    ports: [...kept, ...opened],
    names: names?.aliases ?? row.names,
    ...(options && { options }),
  }
  return { row: changed, opened, closed }
}

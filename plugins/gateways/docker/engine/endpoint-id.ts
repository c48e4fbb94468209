import { createHash } from 'node:crypto'

/** Docker's id of a container's place on a network: one per pair, the same in every answer. */
export function endpointId(networkId: string, containerId: string): string {
  return createHash('sha256').update(`${networkId}/${containerId}`).digest('hex')
}

/** What `docker events` tells of networks. */
import type { NetworkRecord } from '#api/gen/gantry/services/networks/v1/networks.ts'
import type { EngineEvents } from '../engine/events.ts'
import { dockerDriver } from './network-json.ts'

type NetworkAction = 'create' | 'destroy' | 'remove' | 'connect' | 'disconnect'

/** `container`: id, of who joined or left. */
export function tellNetwork(
  events: EngineEvents,
  action: NetworkAction,
  { network, driver }: NetworkRecord,
  container?: string,
): void {
  const attributes = { ...(container && { container }), name: network?.name ?? '', type: dockerDriver(driver) }
  events.publish({ type: 'network', action, actor: { id: network?.id ?? '', attributes } })
}

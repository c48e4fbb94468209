/** Published ports of a container that is there already: of a running one at once, and for later starts. */
import type { PortMapping } from '#api/gen/gantry/network/v1/network.ts'
import type { Input } from '#api/rpc/definition.ts'
import type { ContainerParts } from '../containers.ts'
import { publishedPorts } from '../create/ports.ts'
import type { DockerRecord } from '../record.ts'
import { rewrite } from '../rewrite.ts'
import { isRunning } from '../state.ts'
import type { Found } from '../store.ts'

type Port = Input<PortMapping>

/** The record with its ports. What cannot be opened (409 and who has it) is told before anything is recorded. */
export async function rewritePorts({ engine }: ContainerParts, found: Found, record: DockerRecord): Promise<string[]> {
  const ports = publishedPorts(record.config, record.hostConfig)
  if (isRunning(found.state)) {
    const before = publishedPorts(found.record.config, found.record.hostConfig)
    const { networks } = engine.core
    const closed = without(before, ports)
    if (closed.length > 0) await networks.unpublish({ containerId: found.id, ports: closed })
    const opened = without(ports, before)
    if (opened.length > 0) await networks.publish({ containerId: found.id, ports: opened })
  }
  return rewrite(engine.core, found, record, { networks: withPorts(found, ports) })
}

function without(ports: readonly Port[], others: readonly Port[]): Port[] {
  const known = new Set(others.map(keyOf))
  return ports.filter(port => !known.has(keyOf(port)))
}

const keyOf = ({ protocol, containerPort, hostPort, hostIp }: Port): string =>
  [protocol, containerPort, hostPort, hostIp].join(' ')

/** They stay with the network that has them, or go to the first. */
function withPorts({ core }: Found, ports: Port[]) {
  const networks = core.config?.networks ?? []
  const at = Math.max(
    0,
    networks.findIndex(network => network.ports.length > 0),
  )
  return networks.map((network, i) => ({ ...network, ports: i === at ? ports : [] }))
}

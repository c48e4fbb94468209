/** What a container wishes for, as CNI's well-known capabilities (CONVENTIONS.md of the CNI project). */
import { invalidArgument } from '#api/errors/errors.ts'
import type { AddRequest } from '#sdk/network.ts'
import type { Conflist } from './conflist.ts'

export type CapabilityArgs = Readonly<Record<string, unknown>>

/** INVALID_ARGUMENT: a wish that no binary of the list can fulfil. */
export function capabilityArgs(list: Conflist, request: AddRequest): CapabilityArgs {
  const wishes: readonly [capability: string, field: string, value: unknown, isAsked: boolean][] = [
    ['portMappings', 'ports', portMappings(request), request.ports.length > 0],
    ['mac', 'mac', request.mac, request.mac !== ''],
    ['ips', 'addresses', request.addresses, request.addresses.length > 0],
  ]
  for (const [capability, field, , isAsked] of wishes)
    if (isAsked && !has(list, capability))
      throw invalidArgument(`${field}: no plugin of CNI network "${list.name}" has the capability "${capability}"`)
  const { dns, aliases } = request
  return {
    ...Object.fromEntries(wishes.filter(([, , , isAsked]) => isAsked).map(([key, , value]) => [key, value])),
    ...(aliases.length > 0 ? { aliases: { [list.name]: aliases } } : {}),
    ...(dns ? { dns: { servers: dns.nameservers, searches: dns.search, options: dns.options } } : {}),
    ...request.capabilityArgs,
  }
}

function has(list: Conflist, capability: string): boolean {
  return list.plugins.some(plugin => plugin.capabilities[capability] === true)
}

function portMappings({ ports }: AddRequest): object[] {
  return ports.flatMap(({ protocol, hostPort, containerPort, hostIp, count }) => {
    if (hostPort === 0)
      throw invalidArgument(`ports: CNI plugins choose no host port for container port ${containerPort}; give one`)
    return Array.from({ length: Math.max(count, 1) }, (_, i) => ({
      hostPort: hostPort + i,
      containerPort: containerPort + i,
      protocol,
      ...(hostIp === '' ? {} : { hostIP: hostIp }),
    }))
  })
}

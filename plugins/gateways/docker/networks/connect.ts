/** `POST /networks/{id}/connect` and `/disconnect`. */
import * as z from 'zod'
import { isGantryError } from '#api/errors/errors.ts'
import type { ContainerSummary } from '../engine/containers.ts'
import type { Engine } from '../engine/engine.ts'
import { badRequest, forbidden, HttpError, serverError } from '../http/http-error.ts'
import { findNetwork } from './find-network.ts'
import { tellNetwork } from './network-events.ts'

const endpointSchema = z.object({
  IPAMConfig: z.object({ IPv4Address: z.string().nullish(), IPv6Address: z.string().nullish() }).nullish(),
  Links: z.array(z.string()).nullish(),
  Aliases: z.array(z.string()).nullish(),
  MacAddress: z.string().nullish(),
  GwPriority: z.int().nullish(),
  DriverOpts: z.record(z.string(), z.string()).nullish(),
})

export const connectSchema = z.object({ Container: z.string().nullish(), EndpointConfig: endpointSchema.nullish() })
export const disconnectSchema = z.object({ Container: z.string().nullish(), Force: z.boolean().nullish() })

export async function connect(engine: Engine, text: string, body: z.output<typeof connectSchema>): Promise<void> {
  const container = await engine.containers.find(body.Container ?? '')
  const network = await findNetwork(engine.core, text)
  if (network.network?.name === 'host')
    throw badRequest('container cannot be disconnected from host network or connected to host network')
  const { IPAMConfig, Aliases, MacAddress, GwPriority, Links, DriverOpts } = body.EndpointConfig ?? {}
  const addresses = [IPAMConfig?.IPv4Address, IPAMConfig?.IPv6Address].filter(address => address)
  const name = network.network?.name ?? ''
  if (addresses.length > 0 && (name === 'bridge' || network.network?.subnets.length === 0))
    throw badRequest('user specified IP address is supported on user defined networks only')
  const endpoint = {
    network: name,
    addresses: addresses as string[],
    mac: MacAddress ?? '',
    // The default network of Docker has no names.
    aliases: name === 'bridge' ? [] : namesOf(container, Aliases ?? []),
    gatewayPriority: GwPriority ?? 0,
    links: linksOf(Links ?? []),
    options: DriverOpts ?? {},
    ports: await portsToPublish(engine, container),
  }
  try {
    await engine.core.networks.connect({ containerId: container.id, endpoint })
  } catch (error) {
    throw connectError(error, container, name)
  }
  await engine.containers.noteEndpoint(container.id, name, body.EndpointConfig ?? {})
  tellNetwork(engine.events, 'connect', network, container.id)
}

/** Ports are the container's: the network it joins has them when none of its others does. */
async function portsToPublish({ core, containers }: Engine, { id }: ContainerSummary) {
  const { config } = await core.containers.inspect({ id })
  const isPublishing = config?.networks.some(({ ports }) => ports.length > 0) ?? false
  return isPublishing ? [] : containers.publishedPorts(id)
}

/** The first is what its address is called. */
function namesOf({ id, name }: ContainerSummary, aliases: readonly string[]): string[] {
  return [...new Set([name, ...aliases, id.slice(0, 12)])]
}

/** `container:alias`, or the name for both. */
function linksOf(links: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    links.map(link => {
      const [container = '', alias = container] = link.split(':')
      return [alias, container]
    }),
  )
}

function connectError(error: unknown, { name }: ContainerSummary, network: string): unknown {
  if (!isGantryError(error)) return error
  const options = { cause: error }
  if (error.code === 'ALREADY_EXISTS' && /connected/.test(error.message))
    return forbidden(`endpoint with name ${name} already exists in network ${network}`, options)
  if (error.code === 'ALREADY_EXISTS') return forbidden(`Address already in use: ${error.message}`, options)
  if (error.code === 'FAILED_PRECONDITION')
    return new HttpError(409, `container cannot be connected to network ${network}: ${error.message}`, options)
  if (error.code === 'UNAVAILABLE' || error.code === 'RESOURCE_EXHAUSTED') return serverError(error.message, options)
  return error
}

export async function disconnect(
  engine: Engine,
  text: string,
  { Container, Force }: z.output<typeof disconnectSchema>,
): Promise<void> {
  const container = await engine.containers.find(Container ?? '')
  const network = await findNetwork(engine.core, text).catch(error => {
    // Of a container that does not run Docker looks at its own list alone.
    if (container.state === 'running' || !(error instanceof HttpError)) throw error
    throw serverError(`container ${container.id} is not connected to the network ${text}`, { cause: error })
  })
  const id = network.network?.id ?? ''
  const isMember =
    network.attachments.some(({ containerId }) => containerId === container.id) ||
    container.networks.some(name => name === id || name === network.network?.name)
  if (!isMember && Force !== true)
    throw serverError(`container ${container.id} is not connected to the network ${network.network?.name}`)
  await engine.core.networks.disconnect({ containerId: container.id, network: id, force: Force ?? false })
  await engine.containers.noteEndpoint(container.id, network.network?.name ?? '', undefined)
  tellNetwork(engine.events, 'disconnect', network, container.id)
}

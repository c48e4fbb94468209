/** `POST /networks/{id}/connect` and `/disconnect`. */
import * as z from 'zod'
import { isGantryError } from '#api/errors/errors.ts'
import type { ContainerSummary } from '../engine/containers.ts'
import type { Engine } from '../engine/engine.ts'
import { badRequest, forbidden, HttpError, notFound, serverError } from '../http/http-error.ts'
import { findNetwork } from './find-network.ts'
import { tellNetwork } from './network-events.ts'
import { predefined } from './network-json.ts'

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
  const network = await findNetwork(engine.core, text).catch(error => {
    // Its start will find the network, or tell that there is none.
    if (container.state === 'running' || container.state === 'paused' || !(error instanceof HttpError)) throw error
  })
  if (network === undefined) return engine.containers.joinLate(container.id, text, body.EndpointConfig ?? {})
  if (network.network?.name === 'host')
    throw badRequest('container cannot be disconnected from host network or connected to host network')
  const { IPAMConfig, Aliases, MacAddress, GwPriority, Links, DriverOpts } = body.EndpointConfig ?? {}
  const addresses = [IPAMConfig?.IPv4Address, IPAMConfig?.IPv6Address].filter(address => address)
  const name = network.network?.name ?? ''
  if (addresses.length > 0 && (name === 'bridge' || network.network?.subnets.length === 0))
    throw badRequest('user specified IP address is supported on user defined networks only')
  if (predefined.has(name) && (Aliases?.length ?? 0) > 0)
    throw badRequest('network-scoped aliases are only supported for user-defined networks')
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
  const container = await engine.containers.find(Container ?? '').catch(async error => {
    // By force Docker looks for what a container that is gone has left in the network.
    if (Force !== true || !(error instanceof HttpError)) throw error
    await findNetwork(engine.core, text)
    throw notFound(`endpoint ${Container} not found`, { cause: error })
  })
  const isRunning = container.state === 'running' || container.state === 'paused'
  const network = await findNetwork(engine.core, text).catch(error => {
    // Of a container that does not run, and by force, Docker looks at the container's own list alone.
    if ((isRunning && Force !== true) || !(error instanceof HttpError)) throw error
  })
  if (network === undefined) return leaveLate(engine, container, text)
  const { id = '', name = '' } = network.network ?? {}
  const isMember =
    network.attachments.some(({ containerId }) => containerId === container.id) ||
    container.networks.some(known => known === id || known === name)
  if (!isMember)
    throw serverError(`container ${container.id} is not connected to ${isRunning ? '' : 'the '}network ${name}`)
  await engine.core.networks.disconnect({ containerId: container.id, network: id, force: Force ?? false })
  await engine.containers.noteEndpoint(container.id, network.network?.name ?? '', undefined)
  tellNetwork(engine.events, 'disconnect', network, container.id)
}

/** A network that is gone, or never was, which the container was to join at its next start. */
async function leaveLate({ containers }: Engine, container: ContainerSummary, network: string): Promise<void> {
  if (!container.networks.includes(network))
    throw serverError(`container ${container.id} is not connected to the network ${network}`)
  await containers.leaveLate(container.id, network)
}

/** `POST /networks/create`. */
import * as z from 'zod'
import { isGantryError } from '#api/errors/errors.ts'
import type { NetworkRecord } from '#api/gen/gantry/services/networks/v1/networks.ts'
import type { Engine } from '../engine/engine.ts'
import { badRequest, conflict, forbidden, HttpError, notFound, notImplemented } from '../http/http-error.ts'
import { tellNetwork } from './network-events.ts'
import { attachableLabel, ipamLabel, ipv6Label, optionsLabel, ownLabelPrefix, predefined } from './network-json.ts'

const texts = z.record(z.string(), z.string()).nullish()

const subnetSchema = z.object({
  Subnet: z.string().nullish(),
  IPRange: z.string().nullish(),
  Gateway: z.string().nullish(),
  AuxiliaryAddresses: texts,
})

export const createSchema = z.object({
  Name: z.string().nullish(),
  Driver: z.string().nullish(),
  EnableIPv4: z.boolean().nullish(),
  EnableIPv6: z.boolean().nullish(),
  IPAM: z.object({ Driver: z.string().nullish(), Options: texts, Config: z.array(subnetSchema).nullish() }).nullish(),
  Internal: z.boolean().nullish(),
  Attachable: z.boolean().nullish(),
  Ingress: z.boolean().nullish(),
  Scope: z.string().nullish(),
  ConfigOnly: z.boolean().nullish(),
  ConfigFrom: z.object({ Network: z.string().nullish() }).nullish(),
  Options: texts,
  Labels: texts,
})

export type NetworkWish = z.output<typeof createSchema>

/** Options that the bridge plugin knows; others of Docker's are kept and shown, as Docker does with those of other drivers. */
const passedOptions =
  /^com\.docker\.network\.(bridge\.(name|enable_ip_masquerade|enable_icc|host_binding_ipv[46])|driver\.mtu)$/

export async function createNetwork({ core, events }: Engine, wish: NetworkWish): Promise<string> {
  const name = wish.Name ?? ''
  checkWish(name, wish)
  const driver = wish.Driver || 'bridge'
  const options = wish.Options ?? {}
  const passed = Object.entries(options).filter(([key]) => driver !== 'bridge' || passedOptions.test(key))
  try {
    const { network } = await core.networks.create({
      name,
      driver,
      subnets: (wish.IPAM?.Config ?? []).map(subnetOf),
      internal: wish.Internal ?? false,
      options: Object.fromEntries(passed),
      labels: labelsOf(wish),
      disableIpv4: wish.EnableIPv4 === false,
      disableIpv6: wish.EnableIPv6 !== true,
    })
    tellNetwork(events, 'create', network as NetworkRecord)
    return network?.network?.id ?? ''
  } catch (error) {
    throw createError(error, name, driver)
  }
}

function checkWish(name: string, wish: NetworkWish): void {
  if (name === '') throw badRequest('invalid network name: name is empty')
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name))
    throw badRequest(`invalid network name: ${name}: only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed`)
  if (predefined.has(name)) throw forbidden(`operation is not permitted on predefined ${name} network`)
  if (wish.Driver === 'host' || wish.Driver === 'null')
    throw forbidden(`only one instance of "${wish.Driver}" network is allowed`)
  if (wish.Scope === 'swarm' || wish.Ingress === true || wish.Driver === 'overlay')
    throw forbidden(
      'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
    )
  if (wish.ConfigOnly === true || wish.ConfigFrom?.Network)
    throw notImplemented('config-only networks are not implemented')
  const ipam = wish.IPAM?.Driver || 'default'
  if (ipam !== 'default') throw notFound(`could not resolve ipam driver "${ipam}": plugin "${ipam}" not found`)
}

function subnetOf({ Subnet, Gateway, IPRange, AuxiliaryAddresses }: z.output<typeof subnetSchema>) {
  const auxiliary = Object.entries(AuxiliaryAddresses ?? {})
  return {
    cidr: Subnet ?? '',
    gateway: Gateway ?? '',
    range: IPRange ?? '',
    reserved: Object.fromEntries(auxiliary.map(([name, address]) => [address, name])),
  }
}

/** The user's, and what only Docker has a place for. */
function labelsOf({ Labels, Options, IPAM, Attachable, EnableIPv6 }: NetworkWish): Record<string, string> {
  const stranger = Object.keys(Labels ?? {}).find(key => key.startsWith(ownLabelPrefix))
  if (stranger !== undefined)
    throw badRequest(`label "${stranger}": names that begin with ${ownLabelPrefix} are reserved`)
  return {
    ...Labels,
    [optionsLabel]: JSON.stringify(Options ?? {}),
    [ipamLabel]: JSON.stringify({ Driver: IPAM?.Driver || 'default', Options: IPAM?.Options ?? null }),
    [attachableLabel]: String(Attachable ?? false),
    [ipv6Label]: String(EnableIPv6 ?? false),
  }
}

function createError(error: unknown, name: string, driver: string): unknown {
  if (!isGantryError(error)) return error
  const options = { cause: error }
  if (error.code === 'ALREADY_EXISTS') return conflict(`network with name ${name} already exists`, options)
  if (error.code === 'NOT_FOUND')
    return notFound(`could not find plugin ${driver} in v1 plugin registry: plugin not found`, options)
  // Overlaps and exhausted pools are 403 and 500 in Docker, with the reason in the text.
  if (error.code === 'FAILED_PRECONDITION')
    return forbidden(
      `invalid pool request: Pool overlaps with other one on this address space: ${error.message}`,
      options,
    )
  if (error.code === 'RESOURCE_EXHAUSTED') return new HttpError(500, error.message, options)
  return error
}

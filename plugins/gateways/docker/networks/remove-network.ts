/** `DELETE /networks/{id}` and `POST /networks/prune`. */
import { isGantryError } from '#api/errors/errors.ts'
import type { NetworkRecord } from '#api/gen/gantry/services/networks/v1/networks.ts'
import { endpointId } from '../engine/endpoint-id.ts'
import type { Engine } from '../engine/engine.ts'
import { parseTimestamp } from '../events/timestamps.ts'
import { Filters, hasLabel } from '../http/filters.ts'
import { forbidden } from '../http/http-error.ts'
import type { Query } from '../http/query.ts'
import { findNetwork } from './find-network.ts'
import { tellNetwork } from './network-events.ts'
import { predefined, shownLabels } from './network-json.ts'

export async function removeNetwork(engine: Engine, text: string): Promise<void> {
  const record = await findNetwork(engine.core, text)
  const { id = '', name = '' } = record.network ?? {}
  if (predefined.has(name)) throw forbidden(`${name} is a pre-defined network and cannot be removed`)
  if (record.attachments.length > 0) throw forbidden(await inUse(engine, record))
  try {
    await engine.core.networks.remove({ network: id })
  } catch (error) {
    // Somebody joined meanwhile.
    if (isGantryError(error, 'FAILED_PRECONDITION')) throw forbidden(`error while removing network: ${error.message}`)
    throw error
  }
  tellNetwork(engine.events, 'destroy', record)
}

async function inUse({ containers }: Engine, { network, attachments }: NetworkRecord): Promise<string> {
  const names = new Map((await containers.list()).map(({ id, name }) => [id, name]))
  const endpoints = attachments.map(({ containerId, networkId }) => {
    const id = endpointId(networkId, containerId).slice(0, 12)
    return `name:"${names.get(containerId) ?? containerId}" id:"${id}"`
  })
  return `error while removing network: network ${network?.name} has active endpoints (${endpoints.join(', ')})`
}

/** Networks that nobody is on go; those that are always there stay. */
export async function pruneNetworks(engine: Engine, query: Query): Promise<{ NetworksDeleted: string[] | null }> {
  const filters = Filters.read(query, ['label', 'label!', 'until'])
  const until = filters.values('until').map(text => parseTimestamp(text))[0]
  const { networks } = await engine.core.networks.list({})
  const deleted: string[] = []
  for (const record of networks) {
    if (!isWanted(record, filters, until)) continue
    const { id = '', name = '' } = record.network ?? {}
    try {
      await engine.core.networks.remove({ network: id })
    } catch (error) {
      if (isGantryError(error, 'FAILED_PRECONDITION') || isGantryError(error, 'NOT_FOUND')) continue
      throw error
    }
    deleted.push(name)
    tellNetwork(engine.events, 'destroy', record)
  }
  engine.events.publish({ type: 'network', action: 'prune', actor: { id: '', attributes: { reclaimed: '0' } } })
  return { NetworksDeleted: deleted.length === 0 ? null : deleted }
}

function isWanted(record: NetworkRecord, filters: Filters, until: bigint | undefined): boolean {
  const { network, createdAt, attachments } = record
  if (predefined.has(network?.name ?? '') || attachments.length > 0) return false
  const nanos = (createdAt?.seconds ?? 0n) * 1_000_000_000n + BigInt(createdAt?.nanos ?? 0)
  if (until !== undefined && nanos > until) return false
  const labels = shownLabels(record)
  if (filters.values('label!').some(unwanted => hasLabel(labels, unwanted))) return false
  return filters.every('label', wanted => hasLabel(labels, wanted))
}

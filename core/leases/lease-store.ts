import { randomBytes } from 'node:crypto'
import { alreadyExists, notFound } from '#api/errors/errors.ts'
import { type Filter, mapField, parseFilters } from '#api/filters/filters.ts'
import { validateLabels } from '#api/types/identifiers.ts'
import type { LeaseRecord, Metadata } from '#core/metadata/metadata.ts'
import {
  now,
  objectKey,
  type ReadTransaction,
  touchNamespace,
  validateName,
  withoutEmpty,
} from '#core/metadata/metadata.ts'
import type { Lease, LeaseResource, Leases } from './leases.ts'
import { resourceKey, validateResource } from './resources.ts'

/** Leases in the metadata store. `collect` runs a garbage collection to its end, for deletes that wait for one. */
export class LeaseStore implements Leases {
  readonly #metadata: Metadata
  readonly #collect: () => Promise<unknown>

  constructor(metadata: Metadata, collect: () => Promise<unknown>) {
    this.#metadata = metadata
    this.#collect = collect
  }

  async create(ns: string, { id = '', labels = {} }: { id?: string; labels?: Lease['labels'] } = {}): Promise<Lease> {
    const name = id || chooseId()
    validateName(name, 'lease id')
    validateLabels(labels, 'lease.Labels')
    const record: LeaseRecord = { createdAt: now(), labels: withoutEmpty(labels) }
    this.#metadata.write(tx => {
      if (tx.get(objectKey(ns, 'leases', name)) !== undefined) throw alreadyExists(`lease "${name}"`)
      touchNamespace(tx, ns)
      tx.put(objectKey(ns, 'leases', name), record)
    })
    return { id: name, ...record }
  }

  async delete(ns: string, id: string, { sync = false } = {}): Promise<void> {
    this.#metadata.write(
      tx => {
        if (!tx.delete(objectKey(ns, 'leases', id))) throw notFound(`lease "${id}"`)
        for (const { key } of tx.list(objectKey(ns, 'lease-resources', id))) tx.delete(key)
      },
      { frees: true },
    )
    if (sync) await this.#collect()
  }

  async list(ns: string, filters: readonly string[] = []): Promise<Lease[]> {
    const matches = parseFilters(filters)
    return this.#metadata.read(tx =>
      Array.from(tx.list<LeaseRecord>(objectKey(ns, 'leases')), ({ key, value }) => ({
        id: String(key.at(-1)),
        ...value,
      })).filter(lease => leaseMatches(matches, lease)),
    )
  }

  async addResource(ns: string, id: string, resource: LeaseResource): Promise<void> {
    this.#metadata.write(tx => {
      requireLease(tx, ns, id)
      validateResource(resource)
      tx.put(resourceKey(ns, id, resource), true)
    })
  }

  async deleteResource(ns: string, id: string, resource: LeaseResource): Promise<void> {
    this.#metadata.write(
      tx => {
        requireLease(tx, ns, id)
        validateResource(resource)
        tx.delete(resourceKey(ns, id, resource))
      },
      { frees: true },
    )
  }

  async listResources(ns: string, id: string): Promise<LeaseResource[]> {
    return this.#metadata.read(tx => {
      requireLease(tx, ns, id)
      return Array.from(tx.list(objectKey(ns, 'lease-resources', id)), ({ key }) => ({
        type: String(key.at(-2)),
        id: String(key.at(-1)),
      }))
    })
  }
}

function requireLease(tx: ReadTransaction, ns: string, id: string): void {
  if (tx.get(objectKey(ns, 'leases', id)) === undefined) throw notFound(`lease "${id}"`)
}

function leaseMatches(matches: Filter, lease: Lease): boolean {
  return matches(([field, ...rest]) => {
    if (field === 'id') return lease.id
    return field === 'labels' ? mapField(lease.labels, rest) : undefined
  })
}

/** Sorts by time of making. */
function chooseId(): string {
  return `${Date.now()}-${randomBytes(4).toString('hex')}`
}

import { alreadyExists, failedPrecondition, invalidArgument, notFound } from '#api/errors/errors.ts'
import { NamespaceCreate, NamespaceDelete, NamespaceUpdate } from '#api/gen/containerd/events/namespace.ts'
import { validateIdentifier, validateLabels } from '#api/types/identifiers.ts'
import { type EventPublisher, eventAny } from '#core/events/events.ts'
import {
  applyMapPath,
  type Key,
  type Metadata,
  type NamespaceRecord,
  namespaceKey,
  objectKey,
  type ReadTransaction,
  type StringMap,
  withoutEmpty,
} from '#core/metadata/metadata.ts'
import type { Namespace, Namespaces } from './namespaces.ts'

/** Tenant namespaces in the metadata store. */
export class NamespaceStore implements Namespaces {
  readonly #metadata: Metadata
  readonly #events: EventPublisher

  constructor(metadata: Metadata, events: EventPublisher) {
    this.#metadata = metadata
    this.#events = events
  }

  async labels(name: string): Promise<StringMap> {
    return this.#metadata.read(tx => labelsOf(tx, name))
  }

  async list(): Promise<Namespace[]> {
    return this.#metadata.read(tx =>
      Array.from(tx.list<NamespaceRecord>(namespaceKey()), ({ key, value }) => ({
        name: String(key.at(-1)),
        labels: value.labels,
      })),
    )
  }

  async create({ name, labels }: Namespace): Promise<Namespace> {
    validateIdentifier(name)
    validateLabels(labels, 'namespace.Labels')
    const record: NamespaceRecord = { labels: withoutEmpty(labels) }
    this.#metadata.write(tx => {
      if (tx.get(namespaceKey(name)) !== undefined) throw alreadyExists(`namespace "${name}"`)
      tx.put(namespaceKey(name), record)
    })
    const event = { name, labels: { ...record.labels } }
    this.#events.publish(
      name,
      '/namespaces/create',
      eventAny('containerd.events.NamespaceCreate', NamespaceCreate, event),
    )
    return { name, ...record }
  }

  async update({ name, labels: given }: Namespace, fieldPaths: readonly string[] = ['labels']): Promise<Namespace> {
    validateIdentifier(name)
    validateLabels(given, 'namespace.Labels')
    const paths = fieldPaths.length === 0 ? ['labels'] : fieldPaths
    const record = this.#metadata.write(tx => {
      let labels = labelsOf(tx, name)
      for (const path of paths) {
        const changed = applyMapPath(path, 'labels', labels, given)
        if (changed === undefined) throw invalidArgument(`cannot update "${path}" field`, { bare: true })
        labels = withoutEmpty(changed)
      }
      tx.put(namespaceKey(name), { labels })
      return { labels }
    })
    const event = { name, labels: { ...record.labels } }
    this.#events.publish(
      name,
      '/namespaces/update',
      eventAny('containerd.events.NamespaceUpdate', NamespaceUpdate, event),
    )
    return { name, ...record }
  }

  async delete(name: string): Promise<void> {
    this.#metadata.write(
      tx => {
        const held = contents(tx, name)
        if (held.length > 0)
          throw failedPrecondition(`namespace "${name}" must be empty, but it still has ${held.join(', ')}`)
        if (!tx.delete(namespaceKey(name))) throw notFound(`namespace "${name}"`)
        for (const { key } of tx.list(['in', name])) tx.delete(key)
      },
      { frees: true },
    )
    this.#events.publish(
      name,
      '/namespaces/delete',
      eventAny('containerd.events.NamespaceDelete', NamespaceDelete, { name }),
    )
  }
}

function labelsOf(tx: ReadTransaction, name: string): StringMap {
  return tx.get<NamespaceRecord>(namespaceKey(name))?.labels ?? {}
}

/**
 * What keeps a namespace from being deleted, in containerd's words and order, then what containerd has no word for.
 * Ingests and leases go with it.
 */
function contents(tx: ReadTransaction, ns: string): string[] {
  const snapshotters = new Set(Array.from(tx.list(objectKey(ns, 'snapshots')), ({ key }) => String(key[3])))
  const kept: Record<string, Key> = {
    images: objectKey(ns, 'images'),
    blobs: objectKey(ns, 'blobs'),
    containers: objectKey(ns, 'containers'),
    ...Object.fromEntries(
      Array.from(snapshotters, name => [`snapshots on "${name}" snapshotter`, objectKey(ns, 'snapshots', name)]),
    ),
    sandboxes: objectKey(ns, 'sandboxes'),
    mounts: objectKey(ns, 'mounts'),
    // core/networks: the index of a tenant's own networks.
    networks: ['networks', 'name', ns],
  }
  return Object.keys(kept).filter(name => !isEmpty(tx, kept[name] ?? []))
}

function isEmpty(tx: ReadTransaction, prefix: Key): boolean {
  return Array.from(tx.list(prefix, { limit: 1 })).length === 0
}

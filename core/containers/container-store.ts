import { alreadyExists, invalidArgument, notFound } from '#api/errors/errors.ts'
import { mapField, parseFilters } from '#api/filters/filters.ts'
import { ContainerCreate, ContainerDelete, ContainerUpdate } from '#api/gen/containerd/events/container.ts'
import { type EventPublisher, eventAny } from '#core/events/events.ts'
import {
  applyMapPath,
  type ContainerRecord,
  type Metadata,
  now,
  objectKey,
  touchNamespace,
  withoutEmpty,
} from '#core/metadata/metadata.ts'
import type { Container, ContainerSpec, Containers } from './containers.ts'
import { validateContainer } from './validate.ts'

const changeable = ['labels', 'spec', 'extensions', 'image', 'snapshotkey']

/** Container records in the metadata store. */
export class ContainerStore implements Containers {
  readonly #metadata: Metadata
  readonly #events: EventPublisher

  constructor(metadata: Metadata, events: EventPublisher) {
    this.#metadata = metadata
    this.#events = events
  }

  async get(ns: string, id: string): Promise<Container> {
    const record = this.#metadata.read(tx => tx.get<ContainerRecord>(objectKey(ns, 'containers', id)))
    if (record === undefined) throw notFound(`container "${id}" in namespace "${ns}"`)
    return { id, ...record }
  }

  async list(ns: string, filters: readonly string[] = []): Promise<Container[]> {
    const matches = parseFilters(filters)
    return this.#metadata.read(tx =>
      Array.from(tx.list<ContainerRecord>(objectKey(ns, 'containers')), ({ key, value }) => ({
        id: String(key.at(-1)),
        ...value,
      })).filter(container => matches(path => containerField(container, path))),
    )
  }

  async *listInSteps(ns: string): AsyncGenerator<Container[]> {
    for await (const entries of this.#metadata.listInSteps<ContainerRecord>(objectKey(ns, 'containers')))
      yield entries.map(({ key, value }) => ({ id: String(key.at(-1)), ...value }))
  }

  async create(ns: string, spec: ContainerSpec): Promise<Container> {
    validateContainer('create container failed validation', spec)
    const at = now()
    const record: ContainerRecord = { ...recordOf(spec), createdAt: at, updatedAt: at }
    this.#metadata.write(tx => {
      if (tx.get(objectKey(ns, 'containers', spec.id)) !== undefined) throw alreadyExists(`container "${spec.id}"`)
      touchNamespace(tx, ns)
      tx.put(objectKey(ns, 'containers', spec.id), record)
    })
    const { image, runtime } = record
    const event = { id: spec.id, image, runtime: { name: runtime.name, options: runtime.options } }
    this.#events.publish(
      ns,
      '/containers/create',
      eventAny('containerd.events.ContainerCreate', ContainerCreate, event),
    )
    return { id: spec.id, ...record }
  }

  async update(ns: string, spec: ContainerSpec, fieldPaths: readonly string[] = []): Promise<Container> {
    if (spec.id === '') throw invalidArgument('must specify a container id')
    const record = this.#metadata.write(tx => {
      const current = tx.get<ContainerRecord>(objectKey(ns, 'containers', spec.id))
      if (current === undefined) throw notFound(`container "${spec.id}"`)
      const next = changed({ id: spec.id, ...current }, spec, fieldPaths)
      validateContainer('update failed validation', next)
      const updated = { ...recordOf(next), createdAt: current.createdAt, updatedAt: now() }
      tx.put(objectKey(ns, 'containers', spec.id), updated)
      return updated
    })
    const { image, labels, snapshotKey } = record
    const event = { id: spec.id, image, labels: { ...labels }, snapshotKey }
    this.#events.publish(
      ns,
      '/containers/update',
      eventAny('containerd.events.ContainerUpdate', ContainerUpdate, event),
    )
    return { id: spec.id, ...record }
  }

  async delete(ns: string, id: string): Promise<void> {
    this.#metadata.write(
      tx => {
        if (!tx.delete(objectKey(ns, 'containers', id))) throw notFound(`container "${id}"`)
      },
      { frees: true },
    )
    this.#events.publish(
      ns,
      '/containers/delete',
      eventAny('containerd.events.ContainerDelete', ContainerDelete, { id }),
    )
  }
}

function recordOf(spec: ContainerSpec): Omit<ContainerRecord, 'createdAt' | 'updatedAt'> {
  const { name, options } = spec.runtime
  return {
    labels: withoutEmpty(spec.labels ?? {}),
    image: spec.image ?? '',
    runtime: options === undefined ? { name } : { name, options },
    spec: spec.spec,
    snapshotter: spec.snapshotter ?? '',
    snapshotKey: spec.snapshotKey ?? '',
    extensions: spec.extensions ?? {},
    sandbox: spec.sandbox ?? '',
  }
}

function changed(current: Container, given: ContainerSpec, fieldPaths: readonly string[]): Container {
  if (fieldPaths.length === 0) {
    if (current.snapshotter !== (given.snapshotter ?? ''))
      throw invalidArgument('container.Snapshotter field is immutable')
    if (current.runtime.name !== given.runtime.name) throw invalidArgument('container.Runtime.Name field is immutable')
    fieldPaths = changeable
  }
  let next = current
  for (const path of fieldPaths) next = Object.assign({}, next, changedField(next, given, path))
  return next
}

function changedField(current: Container, given: ContainerSpec, path: string): Partial<ContainerSpec> {
  const labels = applyMapPath(path, 'labels', current.labels, given.labels ?? {})
  if (labels !== undefined) return { labels }
  const extensions = applyMapPath(path, 'extensions', current.extensions, given.extensions ?? {})
  if (extensions !== undefined) return { extensions }
  if (path === 'spec') return { spec: given.spec }
  if (path === 'image') return { image: given.image ?? '' }
  if (path === 'snapshotkey') return { snapshotKey: given.snapshotKey ?? '' }
  throw invalidArgument(`cannot update "${path}" field on "${current.id}"`)
}

function containerField(container: Container, [field, ...rest]: readonly string[]): string | undefined {
  if (field === 'id') return container.id
  if (field === 'image') return container.image || undefined
  if (field === 'labels') return mapField(container.labels, rest)
  return field === 'runtime' && rest[0] === 'name' ? container.runtime.name : undefined
}

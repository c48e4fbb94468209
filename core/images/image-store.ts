import { alreadyExists, invalidArgument, notFound } from '#api/errors/errors.ts'
import { mapField, parseFilters } from '#api/filters/filters.ts'
import { ImageCreate, ImageDelete, ImageUpdate } from '#api/gen/containerd/services/images/v1/image_events.ts'
import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'
import { isDigest } from '#api/types/digest.ts'
import { validateLabels } from '#api/types/identifiers.ts'
import { type EventPublisher, eventAny } from '#core/events/events.ts'
import { addToLease, imageResource, removeFromLease } from '#core/leases/leases.ts'
import {
  applyMapPath,
  type ImageRecord,
  type Metadata,
  now,
  objectKey,
  type ReadTransaction,
  touchNamespace,
  validateName,
  type WriteTransaction,
  withoutEmpty,
} from '#core/metadata/metadata.ts'
import type { Image, ImageSpec, Images } from './images.ts'

const expireLabel = 'containerd.io/gc.expire'
const eventPackage = 'containerd.services.images.v1'

interface WriteOptions {
  at?: Timestamp | undefined
  lease?: string | undefined
}

/** Images in the metadata store. `collect` runs a garbage collection to its end, for deletes that wait for one. */
export class ImageStore implements Images {
  readonly #metadata: Metadata
  readonly #events: EventPublisher
  readonly #collect: () => Promise<unknown>

  constructor(metadata: Metadata, events: EventPublisher, collect: () => Promise<unknown>) {
    this.#metadata = metadata
    this.#events = events
    this.#collect = collect
  }

  async get(ns: string, name: string): Promise<Image> {
    return this.#metadata.read(tx => ({ name, ...requireImage(tx, ns, name) }))
  }

  async list(ns: string, filters: readonly string[] = []): Promise<Image[]> {
    const matches = parseFilters(filters)
    return this.#metadata.read(tx =>
      Array.from(tx.list<ImageRecord>(objectKey(ns, 'images')), ({ key, value }) => ({
        name: String(key.at(-1)),
        ...value,
      })).filter(image => matches(path => imageField(image, path))),
    )
  }

  async create(ns: string, spec: ImageSpec, { at = now(), lease }: WriteOptions = {}): Promise<Image> {
    const record = { ...validated(spec), createdAt: at, updatedAt: at }
    this.#metadata.write(tx => {
      leaseExpiring(tx, ns, spec.name, record, lease)
      if (tx.get(objectKey(ns, 'images', spec.name)) !== undefined) throw alreadyExists(`image "${spec.name}"`)
      touchNamespace(tx, ns)
      tx.put(objectKey(ns, 'images', spec.name), record)
    })
    const event = eventAny(`${eventPackage}.ImageCreate`, ImageCreate, {
      name: spec.name,
      labels: { ...record.labels },
    })
    this.#events.publish(ns, '/images/create', event)
    return { name: spec.name, ...record }
  }

  async update(
    ns: string,
    spec: ImageSpec,
    fieldPaths: readonly string[] = [],
    { at = now(), lease }: WriteOptions = {},
  ): Promise<Image> {
    if (spec.name === '') throw invalidArgument('image name is required for update')
    const record = this.#metadata.write(tx => {
      const current = requireImage(tx, ns, spec.name)
      const next = { ...validated(changed(current, spec, fieldPaths)), createdAt: current.createdAt, updatedAt: at }
      leaseExpiring(tx, ns, spec.name, next, lease)
      tx.put(objectKey(ns, 'images', spec.name), next)
      return next
    })
    const event = eventAny(`${eventPackage}.ImageUpdate`, ImageUpdate, {
      name: spec.name,
      labels: { ...record.labels },
    })
    this.#events.publish(ns, '/images/update', event)
    return { name: spec.name, ...record }
  }

  async delete(
    ns: string,
    name: string,
    { sync = false, target, lease }: { sync?: boolean; target?: { digest: string }; lease?: string | undefined } = {},
  ): Promise<void> {
    this.#metadata.write(
      tx => {
        const found = requireImage(tx, ns, name).target.digest
        if (target !== undefined && target.digest !== '' && target.digest !== found)
          throw notFound(`image "${name}" has target ${found}, not ${target.digest}`)
        tx.delete(objectKey(ns, 'images', name))
        removeFromLease(tx, ns, lease, imageResource(name))
      },
      { frees: true },
    )
    this.#events.publish(ns, '/images/delete', eventAny(`${eventPackage}.ImageDelete`, ImageDelete, { name }))
    if (sync) await this.#collect()
  }
}

function requireImage(tx: ReadTransaction, ns: string, name: string): ImageRecord {
  const record = tx.get<ImageRecord>(objectKey(ns, 'images', name))
  if (record === undefined) throw notFound(`image "${name}"`)
  return record
}

/** An image is a root of its own unless it expires: only then a lease has something to keep. */
function leaseExpiring(
  tx: WriteTransaction,
  ns: string,
  name: string,
  { labels }: Pick<ImageRecord, 'labels'>,
  lease: string | undefined,
): void {
  if (labels[expireLabel] !== undefined) addToLease(tx, ns, lease, imageResource(name))
}

function changed(current: ImageRecord, spec: ImageSpec, fieldPaths: readonly string[]): ImageSpec {
  if (fieldPaths.length === 0) return spec
  let labels = current.labels
  let target = current.target as ImageSpec['target']
  for (const path of fieldPaths) {
    const newLabels = applyMapPath(path, 'labels', labels, spec.labels ?? {})
    const annotations = applyMapPath(path, 'annotations', target.annotations, spec.target.annotations)
    if (newLabels !== undefined) labels = newLabels
    else if (annotations !== undefined) target = { ...target, annotations }
    else if (path === 'target') target = spec.target
    else throw invalidArgument(`cannot update "${path}" field on image "${spec.name}"`)
  }
  return { name: spec.name, labels, target }
}

function validated({ name, labels = {}, target }: ImageSpec): Pick<ImageRecord, 'labels' | 'target'> {
  validateName(name, 'image name')
  validateLabels(labels, 'image.Labels')
  if (!isDigest(target.digest)) throw invalidArgument(`target.Digest "${target.digest}" invalid: not a sha256 digest`)
  if (target.size <= 0n) throw invalidArgument('target.Size must be greater than zero')
  if (target.mediaType === '') throw invalidArgument('target.MediaType must be set')
  const { mediaType, digest, size, annotations } = target
  return { labels: withoutEmpty(labels), target: { mediaType, digest, size, annotations: withoutEmpty(annotations) } }
}

function imageField(image: Image, [field, ...rest]: readonly string[]): string | undefined {
  if (field === 'name') return image.name
  if (field === 'labels') return mapField(image.labels, rest)
  if (field === 'annotations') return mapField(image.target.annotations, rest)
  if (field !== 'target') return undefined
  if (rest[0] === 'digest') return image.target.digest
  return rest[0] === 'mediatype' ? image.target.mediaType : undefined
}

/**
 * Leases: a client's hold on objects while it works with them.
 *
 * Garbage collection removes what nothing refers to. Between the moment a blob or a snapshot is made and the
 * moment something refers to it, only a lease keeps it. A pull therefore makes a lease first, passes its id
 * along with every write, stores the image record last, and then deletes the lease:
 *
 * ```ts
 * const lease = await leases.create(ns, { labels: { 'containerd.io/gc.expire': inOneDay } })
 * const writer = await content.writer(ns, { ref, expected, lease: lease.id })   // the ingest is in the lease
 * await writer.commit({})                                                       // now the blob is, atomically
 * await images.create(ns, { name, target })                                     // referred to by the image
 * await leases.delete(ns, lease.id)
 * ```
 *
 * A *resource* is an object a lease keeps, named by kind and id: `content` (digest), `ingests` (ref),
 * `images` (name), `snapshots/<snapshotter>` (key or name). It need not exist. What a resource refers to
 * is kept too, unless the lease has the label `containerd.io/gc.flat`. A lease whose label
 * `containerd.io/gc.expire` (RFC 3339) lies in the past keeps nothing and is collected itself.
 *
 * Everything here is per tenant namespace.
 */
import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'

export interface Lease {
  readonly id: string
  readonly createdAt: Timestamp
  readonly labels: Readonly<Record<string, string>>
}

/** An object a lease keeps. `type`: `content`, `ingests`, `images` or `snapshots/<snapshotter>`. */
export interface LeaseResource {
  readonly id: string
  readonly type: string
}

export interface Leases {
  /** Makes a lease; without `id` one is chosen. ALREADY_EXISTS; INVALID_ARGUMENT for a label that is too long. */
  create(ns: string, options?: { id?: string; labels?: Readonly<Record<string, string>> }): Promise<Lease>

  /**
   * Ends a lease. What only it kept goes with the next collection; `sync` waits for that one to finish.
   * NOT_FOUND.
   */
  delete(ns: string, id: string, options?: { sync?: boolean }): Promise<void>

  /** All leases that match one of `filters` (fields `id`, `labels`), by id. INVALID_ARGUMENT for a bad filter. */
  list(ns: string, filters?: readonly string[]): Promise<Lease[]>

  /** NOT_FOUND for an unknown lease; INVALID_ARGUMENT or UNIMPLEMENTED for an unknown type. Adding twice is fine. */
  addResource(ns: string, id: string, resource: LeaseResource): Promise<void>

  /** As {@link addResource}; no error when the lease did not hold it. */
  deleteResource(ns: string, id: string, resource: LeaseResource): Promise<void>

  /** What a lease holds, by type and id. NOT_FOUND. */
  listResources(ns: string, id: string): Promise<LeaseResource[]>
}

export { LeaseStore } from './lease-store.ts'
export {
  addToLease,
  contentResource,
  imageResource,
  ingestResource,
  removeFromLease,
  requireLease,
  snapshotResource,
} from './resources.ts'
export { leasesService } from './service.ts'

/** A lease's resources within somebody else's transaction: every write under a lease adds what it made. */
import { invalidArgument, notFound, notImplemented } from '#api/errors/errors.ts'
import { isDigest } from '#api/types/digest.ts'
import {
  type Key,
  objectKey,
  type ReadTransaction,
  validateName,
  type WriteTransaction,
} from '#core/metadata/metadata.ts'
import type { LeaseResource } from './leases.ts'

export const contentResource = (digest: string): LeaseResource => ({ type: 'content', id: digest })
export const ingestResource = (ref: string): LeaseResource => ({ type: 'ingests', id: ref })
export const imageResource = (name: string): LeaseResource => ({ type: 'images', id: name })
export const snapshotResource = (snapshotter: string, key: string): LeaseResource => ({
  type: `snapshots/${snapshotter}`,
  id: key,
})

/** NOT_FOUND when a call names a lease that is not there. */
export function requireLease(tx: ReadTransaction, ns: string, lease: string | undefined): void {
  if (lease !== undefined && tx.get(objectKey(ns, 'leases', lease)) === undefined)
    throw notFound('lease does not exist')
}

/** Adds to the lease of a call, if it has one. NOT_FOUND when there is no such lease. */
export function addToLease(
  tx: WriteTransaction,
  ns: string,
  lease: string | undefined,
  { type, id }: LeaseResource,
): void {
  if (lease === undefined) return
  requireLease(tx, ns, lease)
  tx.put(resourceKey(ns, lease, { type, id }), true)
}

/** Takes out of the lease of a call, if it has one. */
export function removeFromLease(
  tx: WriteTransaction,
  ns: string,
  lease: string | undefined,
  resource: LeaseResource,
): void {
  if (lease !== undefined) tx.delete(resourceKey(ns, lease, resource))
}

/** Where a lease's hold on an object is stored. */
export function resourceKey(ns: string, lease: string, { type, id }: LeaseResource): Key {
  return objectKey(ns, 'lease-resources', lease, type, id)
}

/** INVALID_ARGUMENT or UNIMPLEMENTED, in containerd's words, for a resource no lease can hold. */
export function validateResource({ type, id }: LeaseResource): void {
  const [kind, ...rest] = type.split('/')
  validateName(id, 'resource id')
  if (kind === 'snapshots') {
    if (rest.length !== 1) throw invalidArgument(`invalid snapshot resource type ${type}`)
    return
  }
  if (kind !== 'content' && kind !== 'ingests' && kind !== 'images')
    throw notImplemented(`resource type ${type} not supported yet`)
  if (rest.length > 0) throw invalidArgument(`invalid resource type ${type}`)
  if (kind === 'content' && !isDigest(id)) throw invalidArgument(`invalid content resource id ${id}: not a digest`)
}

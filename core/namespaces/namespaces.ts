/**
 * Tenant namespaces: each has its own containers, images, leases, blobs and snapshots. (Kernel namespaces are
 * something else.) One springs up with the first object stored in it; making it by hand is for its labels:
 * `containerd.io/defaults/snapshotter` and `containerd.io/defaults/runtime` are what clients use when nothing is said.
 */

export interface Namespace {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
}

export interface Namespaces {
  /** Labels of a namespace. An unknown one has none: clients ask for defaults before anything is stored. */
  labels(name: string): Promise<Readonly<Record<string, string>>>

  /** By name. */
  list(): Promise<Namespace[]>

  /** ALREADY_EXISTS; INVALID_ARGUMENT for a bad name or label. */
  create(namespace: Namespace): Promise<Namespace>

  /** Sets labels: `labels`, or `labels.<key>`; an empty value removes one. No path means all. The namespace springs up. */
  update(namespace: Namespace, fieldPaths?: readonly string[]): Promise<Namespace>

  /** NOT_FOUND; FAILED_PRECONDITION names what it still holds. Its leases go with it. */
  delete(name: string): Promise<void>
}

export { NamespaceStore } from './namespace-store.ts'
export { namespacesService } from './service.ts'

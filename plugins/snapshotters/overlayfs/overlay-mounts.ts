/** How a snapshot of overlayfs is mounted: overlay(5) as data. */
import type { Mount } from '#api/types/mount.ts'
import type { SnapshotNode } from '#sdk/meta-store.ts'

/** Where a snapshot's parts lie. */
export interface OverlayPaths {
  tree(id: number): string
  work(id: number): string
}

/**
 * The mounts of an active snapshot or a view. Overlay needs two layers to merge: a snapshot without a parent, and a
 * view of a single layer, is a bind mount.
 */
export function overlayMounts(node: SnapshotNode, storage: OverlayPaths, extraOptions: readonly string[]): Mount[] {
  const { id, parentIds, info } = node
  const [parent, ...ancestors] = parentIds
  if (parent === undefined) return [bind(storage.tree(id), info.kind === 'view' ? 'ro' : 'rw')]
  if (info.kind === 'view' && ancestors.length === 0) return [bind(storage.tree(parent), 'ro')]
  const writable = info.kind === 'view' ? [] : [`workdir=${storage.work(id)}`, `upperdir=${storage.tree(id)}`]
  const lower = `lowerdir=${parentIds.map(ancestor => storage.tree(ancestor)).join(':')}`
  return [{ type: 'overlay', source: 'overlay', target: '', options: [...extraOptions, ...writable, lower] }]
}

function bind(source: string, access: 'ro' | 'rw'): Mount {
  return { type: 'bind', source, target: '', options: [access, 'rbind'] }
}

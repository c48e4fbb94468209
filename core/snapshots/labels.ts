import type { StringMap } from '#core/metadata/metadata.ts'

/** Asks a remote snapshotter to provide the committed snapshot of that name (containerd's snapshots contract). */
export const snapshotRefLabel = 'containerd.io/snapshot.ref'

/** Labels a backend is shown: those meant for snapshotters. */
export function visibleToBackend(labels: StringMap): StringMap {
  return Object.fromEntries(
    Object.entries(labels).filter(([key]) => key === snapshotRefLabel || key.startsWith('containerd.io/snapshot/')),
  )
}

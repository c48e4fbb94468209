import { mapField, parseFilters } from '#api/filters/filters.ts'
import type { SnapshotNode } from './meta-store.ts'
import type { SnapshotInfo } from './snapshotter.ts'

/** The descriptions that match one of the filters, all without any. INVALID_ARGUMENT: not a filter. */
export function selectSnapshots(nodes: readonly SnapshotNode[], filters: readonly string[]): SnapshotInfo[] {
  const matches = parseFilters([...filters])
  return nodes.map(node => node.info).filter(info => matches(path => fieldOf(info, path)))
}

/** What a filter's path means here; a label's key is the rest of its path. */
function fieldOf(info: SnapshotInfo, [field, ...rest]: readonly string[]): string | undefined {
  switch (field) {
    case 'name':
      return info.name
    case 'parent':
      return info.parent
    case 'kind':
      return info.kind
    case 'labels':
      return mapField(info.labels, rest)
    default:
      return undefined
  }
}

import { invalidArgument } from '#api/errors/errors.ts'
import type { Labels } from './snapshotter.ts'

const onePrefix = 'labels.'

/**
 * Labels after an update by field paths: `labels` replaces all, `labels.<key>` takes one over from `given` (or deletes
 * it when `given` lacks it), no path at all replaces all. INVALID_ARGUMENT for any other path.
 */
export function applyLabels(name: string, current: Labels, given: Labels, fieldPaths: readonly string[]): Labels {
  if (fieldPaths.length === 0) return { ...given }
  let labels = { ...current }
  for (const path of fieldPaths) {
    if (path === 'labels') labels = { ...given }
    else if (path.startsWith(onePrefix)) takeOver(labels, given, path.slice(onePrefix.length))
    else throw invalidArgument(`cannot update "${path}" field on snapshot "${name}"`)
  }
  return labels
}

function takeOver(labels: Record<string, string>, given: Labels, key: string): void {
  const value = Object.hasOwn(given, key) ? given[key] : undefined
  // Deleted as well when empty: containerd treats a label without a value as none.
  if (value === undefined || value === '') delete labels[key]
  else labels[key] = value
}

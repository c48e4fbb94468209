import { invalidArgument, messageOf } from '#api/errors/errors.ts'
import { validateIdentifier, validateLabels } from '#api/types/identifiers.ts'
import type { ContainerSpec } from './containers.ts'

/** INVALID_ARGUMENT, in containerd's words after `act`, for a record that cannot be stored. */
export function validateContainer(act: string, container: ContainerSpec): void {
  try {
    checkAll(container)
  } catch (cause) {
    throw invalidArgument(`${act}: ${messageOf(cause)}`, { bare: true, cause })
  }
}

function checkAll({ id, extensions = {}, labels = {}, runtime, spec, snapshotKey, snapshotter }: ContainerSpec): void {
  validateIdentifier(id, 'container.ID')
  if (Object.hasOwn(extensions, '')) throw invalidArgument('container.Extension keys must not be zero-length')
  validateLabels(labels, 'containers.Labels')
  if (runtime.name === '') throw invalidArgument('container.Runtime.Name must be set')
  if (spec === undefined) throw invalidArgument('container.Spec must be set')
  if (snapshotKey && !snapshotter)
    throw invalidArgument('container.Snapshotter must be set if container.SnapshotKey is set')
}

/** Kernel namespaces: new ones, the host's, or another container's. */
import { invalidArgument } from '#api/errors/errors.ts'
import type { NamespaceType, SpecNamespace } from './runtime-spec.ts'

/** Where a namespace comes from. */
export type NamespaceMode = { kind: 'private' } | { kind: 'host' } | { kind: 'container'; id: string }

/** Reads "", "private", "host" or "container:ID". INVALID_ARGUMENT names the field. */
export function parseNamespaceMode(field: string, value: string): NamespaceMode {
  if (value === '' || value === 'private') return { kind: 'private' }
  if (value === 'host') return { kind: 'host' }
  if (value.startsWith('container:') && value.length > 'container:'.length)
    return { kind: 'container', id: value.slice('container:'.length) }
  throw invalidArgument(`${field} "${value}" is none of "", "private", "host" and "container:ID"`)
}

export interface NamespaceModes {
  pid: NamespaceMode
  ipc: NamespaceMode
  uts: NamespaceMode
  network: NamespaceMode
  cgroup: NamespaceMode
}

/** Where a namespace that is another container's has no path yet, this stands in: it is known when the task is created. */
export const containerNamespacePrefix = 'container:'

/**
 * The spec's list. A new network namespace has no path either: the one that the core pins is put in when the task
 * is created, as are the paths behind `container:ID`.
 */
export function composeNamespaces(modes: NamespaceModes): SpecNamespace[] {
  const list: SpecNamespace[] = [{ type: 'mount' }]
  for (const type of ['pid', 'ipc', 'uts', 'network', 'cgroup'] as const) {
    const mode = modes[type]
    if (mode.kind === 'private') list.push({ type })
    if (mode.kind === 'container') list.push({ type, path: `${containerNamespacePrefix}${mode.id}` })
  }
  return list
}

/** Name of the namespace's entry in /proc/PID/ns. */
export function procNamespaceName(type: NamespaceType): string {
  return { pid: 'pid', network: 'net', mount: 'mnt', ipc: 'ipc', uts: 'uts', cgroup: 'cgroup', user: 'user' }[type]
}

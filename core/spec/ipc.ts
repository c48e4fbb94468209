/**
 * The IPC namespace and /dev/shm, which belong together: who shares the one shares the other.
 *
 * As in Docker: `private` (the default) keeps both to itself, `shareable` lets others join by `container:ID`, `none` has no
 * /dev/shm, `host` has the host's.
 */
import { type NamespaceMode, parseNamespaceMode } from './namespaces.ts'
import type { SpecMount } from './runtime-spec.ts'

export type IpcMode = NamespaceMode | { kind: 'shareable' } | { kind: 'none' }

/** Docker's size of /dev/shm: 64 MiB. */
const defaultShmBytes = 64n * 1024n * 1024n

const target = '/dev/shm'
const options = ['nosuid', 'noexec', 'nodev']

/** Stand in for paths that are known when the task is created: of the container's own shared memory, or of another's. */
const ownShm = 'shm:'
const shmOf = 'shm:container:'

/** Reads "", "private", "shareable", "none", "host" or "container:ID". INVALID_ARGUMENT. */
export function parseIpcMode(value: string): IpcMode {
  if (value === 'shareable' || value === 'none') return { kind: value }
  return parseNamespaceMode('ipc_mode', value)
}

/** Where the namespace itself comes from. */
export function ipcNamespace(mode: IpcMode): NamespaceMode {
  return mode.kind === 'shareable' || mode.kind === 'none' ? { kind: 'private' } : mode
}

/** What is mounted at /dev/shm. What others may join cannot be a mount of the container alone. */
export function shmMounts(mode: IpcMode, sizeBytes: bigint): SpecMount[] {
  const bind = (source: string): SpecMount => ({
    destination: target,
    type: 'bind',
    source,
    options: ['rbind', ...options],
  })
  switch (mode.kind) {
    case 'none':
      return []
    case 'host':
      return [bind(target)]
    case 'shareable':
      return [bind(ownShm)]
    case 'container':
      return [bind(`${shmOf}${mode.id}`)]
    case 'private':
      return [{ destination: target, type: 'tmpfs', source: 'shm', options: shmOptions(sizeBytes) }]
  }
}

/** Options of the tmpfs; 0 bytes mean Docker's default. */
export function shmOptions(sizeBytes: bigint): string[] {
  return [...options, 'mode=1777', `size=${sizeBytes || defaultShmBytes}`]
}

/** Whose shared memory the mount is to have: '' is the container's own; undefined: its source is no stand-in. */
export function shmOwner({ source = '' }: Pick<SpecMount, 'source'>): string | undefined {
  if (source === ownShm) return ''
  return source.startsWith(shmOf) ? source.slice(shmOf.length) : undefined
}

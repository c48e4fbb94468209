import type { DockerMount } from './record.ts'

/** A mount as `--mount` takes it. */
export function mountFlag(mount: DockerMount): string {
  const { Type, Source, Target, ReadOnly, BindOptions: bind, VolumeOptions: volume, TmpfsOptions: tmpfs } = mount
  const words: [string, string | number | undefined][] = [
    ['type', Type],
    ['src', Source],
    ['dst', Target],
    ['bind-propagation', bind?.Propagation],
    ['bind-recursive', recursion(bind)],
    ['volume-driver', volume?.DriverConfig?.Name],
    ['volume-subpath', volume?.Subpath],
    ['image-subpath', mount.ImageOptions?.Subpath],
    ['tmpfs-size', tmpfs?.SizeBytes],
    ['tmpfs-mode', tmpfs?.Mode ? tmpfs.Mode.toString(8) : ''],
  ]
  const said = words.filter(([, value]) => value).map(([key, value]) => `${key}=${value}`)
  const labels = Object.entries(volume?.Labels ?? {}).map(([key, value]) => `volume-label=${key}=${value}`)
  const options = Object.entries(volume?.DriverConfig?.Options ?? {})
  return [
    ...said,
    ...(ReadOnly ? ['readonly'] : []),
    ...(volume?.NoCopy ? ['volume-nocopy'] : []),
    ...labels,
    ...options.map(([key, value]) => `volume-opt=${key}=${value}`),
  ]
    .map(quoted)
    .join(',')
}

function recursion(bind: DockerMount['BindOptions']): string {
  if (bind?.NonRecursive) return 'disabled'
  if (bind?.ReadOnlyNonRecursive) return 'writable'
  return bind?.ReadOnlyForceRecursive ? 'readonly' : ''
}

/** The flag is a line of CSV (RFC 4180). */
const quoted = (word: string): string => (/[",\n]/.test(word) ? `"${word.replaceAll('"', '""')}"` : word)

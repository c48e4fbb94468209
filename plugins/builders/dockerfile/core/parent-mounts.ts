/** What a writable overlay lies on, seen by itself: told by its own mounts, so that no snapshot need be made to see it. */
import type { Mount } from '#api/gen/containerd/types/mount.ts'

/** Undefined where the mounts do not say: those of other kinds, and names that need escapes. */
export function parentMounts(mounts: readonly Mount[]): Mount[] | undefined {
  const [only] = mounts
  const lowers = only?.options.find(option => option.startsWith('lowerdir='))?.slice('lowerdir='.length)
  if (only === undefined || mounts.length !== 1 || only.type !== 'overlay' || lowers === undefined) return undefined
  if (lowers.includes('\\')) return undefined
  // The kernel wants two directories of an overlay that has no upper one (Documentation/filesystems/overlayfs.rst).
  if (!lowers.includes(':')) return [{ type: 'bind', source: lowers, target: '', options: ['ro', 'rbind'] }]
  const options = only.options.filter(option => !/^(?:upperdir|workdir)=/.test(option))
  return [{ ...only, options }]
}

/**
 * Subvolumes of btrfs, by ioctl (`shim-native/sys/src/btrfs`). Every call runs on a thread of its own and rejects with
 * a SysError whose `syscall` names the request (`BTRFS_IOC_SNAP_CREATE_V2`). ENOTTY: the path is not on btrfs.
 * All of them need CAP_SYS_ADMIN; Linux 5.7 is the oldest that has all requests.
 */
import { addon } from './addon.ts'
import type { SubvolumeInfo, SubvolumeUsage } from './types.ts'

/** An empty subvolume (root directory 0755 less the umask), durable when fulfilled. EEXIST when something is there. */
export function createSubvolume(path: string): Promise<void> {
  return addon().createSubvolume(path)
}

/**
 * A copy of the subvolume `source` at `path`, sharing everything until one of them is written to. Its contents are
 * durable when the promise is fulfilled. Subvolumes inside `source` become empty directories.
 */
export function snapshotSubvolume(
  source: string,
  path: string,
  { readOnly = false }: { readOnly?: boolean } = {},
): Promise<void> {
  return addon().snapshotSubvolume(source, path, readOnly)
}

/** Deletes a subvolume, read-only ones too, with all subvolumes inside it. Missing: success. Space is freed behind the answer. */
export function removeSubvolume(path: string): Promise<void> {
  return addon().removeSubvolume(path)
}

/** EINVAL or ENOTTY where `path` is not the root of a subvolume. */
export function subvolumeInfo(path: string): Promise<SubvolumeInfo> {
  return addon().subvolumeInfo(path)
}

/** Durable when fulfilled; nothing happens where it is so already. */
export function setSubvolumeReadOnly(path: string, readOnly: boolean): Promise<void> {
  return addon().setSubvolumeReadOnly(path, readOnly)
}

/**
 * What the subvolume holds that it did not have when it was made: writes the file system out (syncfs), then reads the
 * younger part of the subvolume's tree, so the cost goes with what changed. Where quotas are on and sound, `bytes` is the
 * quota group's exclusive figure.
 */
export function subvolumeUsage(path: string): Promise<SubvolumeUsage> {
  return addon().subvolumeUsage(path)
}

/** Turns quota accounting on for the whole file system of `path`. On already: success. */
export function enableQuota(path: string): Promise<void> {
  return addon().enableQuota(path)
}

/** Whole directory trees, by descriptors: names may nest deeper than PATH_MAX, and no symbolic link is followed. */
import { addon } from './addon.ts'
import { cancellable } from './cancellable.ts'
import type { CopyResult } from './types.ts'

/**
 * Copies a tree with everything a container can notice: owners, modes, times, extended attributes (file capabilities,
 * ACLs), hard links within the tree, symbolic links, FIFOs, sockets, devices, holes. Contents are shared (FICLONE) where
 * the file system can, else copied inside the kernel (copy_file_range). `to` must not exist (EEXIST). What is mounted
 * inside `from` is left out. On failure or abort `to` holds a part: remove it. Nothing is synced.
 */
export function copyTree(from: string, to: string, signal?: AbortSignal): Promise<CopyResult> {
  return cancellable(signal, token => addon().copyTree(from, to, token))
}

/** Deletes a tree or a file. Missing: success. EBUSY where something is mounted inside. */
export function removeTree(path: string): Promise<void> {
  return addon().removeTree(path)
}

/**
 * The vfs snapshotter: a snapshot is a whole copy of its parent. It needs nothing of the kernel and of the file system
 * below, so it works where the others do not; it is as fast as a copy, which is fast where extents can be shared (xfs,
 * btrfs) and slow where not. Copies are made in native code, off the JavaScript thread.
 */
import * as z from 'zod'
import { defineSnapshotter } from '#sdk/define-snapshotter.ts'
import { configOf } from '#sdk/plugin-config.ts'
import { SnapshotDirectory } from '#sdk/snapshot-directory.ts'
import { StoredSnapshotter } from '#sdk/stored-snapshotter.ts'
import { VfsStorage } from './vfs-storage.ts'

export const vfs = copying('vfs')

/** containerd's name for it, which its clients ask for. */
export const native = copying('native')

function copying(id: string) {
  return defineSnapshotter({
    id,
    version: '0.1.0',
    capabilities: ['usage', 'cleanup'],
    ...configOf(z.strictObject({})),
    async create({ root, log, step, openMetaStore }) {
      const directory = await SnapshotDirectory.open(root, { log, step })
      return StoredSnapshotter.open(await openMetaStore(), new VfsStorage(directory, step), step)
    },
  })
}

/**
 * The btrfs snapshotter: a snapshot is a subvolume, made from its parent's in constant time whatever it holds, and
 * read-only once it is committed. Subvolumes are mounted by their number, as containerd's btrfs snapshotter does it.
 */
import { statfs } from 'node:fs/promises'
import * as z from 'zod'
import { failedPrecondition } from '#api/errors/errors.ts'
import { enableQuota, removeSubvolume } from '#api/sys/btrfs.ts'
import { defineSnapshotter } from '#sdk/define-snapshotter.ts'
import { configOf } from '#sdk/plugin-config.ts'
import { SnapshotDirectory } from '#sdk/snapshot-directory.ts'
import { StoredSnapshotter } from '#sdk/stored-snapshotter.ts'
import { deviceOf } from './device.ts'
import { SubvolumeStorage } from './subvolume-storage.ts'

const configSchema = z.strictObject({
  enable_quota: z
    .boolean()
    .default(false)
    .describe('Turn quota accounting on for the whole file system, for exact usage. On already: left on.'),
})

export const btrfs = defineSnapshotter({
  id: 'btrfs',
  version: '0.1.0',
  capabilities: ['usage', 'cleanup'],
  ...configOf(configSchema),
  async create({ config, root, log, step, openMetaStore }) {
    await checkBtrfs(root)
    if (config.enable_quota) await enableQuota(root)
    const directory = await SnapshotDirectory.open(root, { log, step, remove: removeSubvolume })
    const storage = new SubvolumeStorage(directory, await deviceOf(root), step)
    return StoredSnapshotter.open(await openMetaStore(), storage, step)
  },
})

/** statfs(2) of btrfs: BTRFS_SUPER_MAGIC of linux/magic.h. */
const magic = 0x9123683e

async function checkBtrfs(root: string): Promise<void> {
  const { type } = await statfs(root)
  if (type === magic) return
  throw failedPrecondition(
    `root "${root}" is not on btrfs (its file system has magic number 0x${type.toString(16)}): mount a btrfs there, or choose another snapshotter`,
  )
}

/**
 * The overlayfs snapshotter: a snapshot is a directory of changes, a chain of them is merged by the kernel (overlay(5)).
 * Preparing costs three directories and one row, whatever the size of the image.
 *
 * What is common to all snapshotters, the order that crashes respect among it, is in the SDK's stored-snapshotter.ts.
 */
import * as z from 'zod'
import { defineSnapshotter } from '#sdk/define-snapshotter.ts'
import { configOf } from '#sdk/plugin-config.ts'
import { SnapshotDirectory } from '#sdk/snapshot-directory.ts'
import { StoredSnapshotter } from '#sdk/stored-snapshotter.ts'
import { mountOptions } from './mount-options.ts'
import { OverlayStorage } from './overlay-storage.ts'
import { firstThatMounts } from './probe.ts'

const configSchema = z.strictObject({
  mount_options: z
    .array(z.string())
    .default([])
    .describe('Further options of every overlay mount; an own "index=", "redirect_dir=" or "metacopy=" replaces ours.'),
  metacopy: z
    .boolean()
    .default(false)
    .describe(
      'Changing owner or mode of a file copies no content (overlay option metacopy). Off: tools that read upper directories by themselves, such as BuildKit, take such a file for empty.',
    ),
})

export const overlayfs = defineSnapshotter({
  id: 'overlayfs',
  version: '0.1.0',
  capabilities: ['rebase', 'usage', 'cleanup'],
  ...configOf(configSchema),
  async create({ config, root, log, step, openMetaStore }) {
    const options = await firstThatMounts(root, await mountOptions(config))
    const directory = await SnapshotDirectory.open(root, { log, step })
    return StoredSnapshotter.open(await openMetaStore(), new OverlayStorage(directory, options, step), step)
  },
})

/** A root as one plain tar archive: what a layer of all of it would be. */
import { internal } from '#api/errors/errors.ts'
import type { RootArchive } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { timestampOf } from '#api/types/clock.ts'
import { mediaTypes } from '#api/types/oci.ts'
import { formatPlatform } from '#api/types/platform.ts'
import type { Build } from '../solve/build-request.ts'
import type { BuiltStage } from './built-stage.ts'

/** A blob that `lease` holds; the same root gives the same bytes where the build has an epoch. */
export async function storeRootArchive(
  { core, snapshotter, epoch, lease: ownLease }: Build,
  { state, platform }: BuiltStage,
  lease: string,
): Promise<RootArchive> {
  const key = `build-root-${crypto.randomUUID()}`
  const { mounts } = await core.snapshots.view({ snapshotter, key, parent: state.root.chainID }, { lease: ownLease })
  try {
    const sourceDateEpoch = epoch && timestampOf(epoch.getTime())
    const request = { left: [], right: mounts, mediaType: mediaTypes.ociLayer, sourceDateEpoch }
    const { diff } = await core.diffs.diff(request, { lease })
    if (diff === undefined) throw internal('the core answered no archive of the root')
    return { platform: formatPlatform(platform), digest: diff.digest, sizeBytes: diff.size }
  } finally {
    await core.snapshots.remove({ snapshotter, key })
  }
}

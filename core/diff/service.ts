/** containerd.services.diff.v1 over {@link Diffs}. */

import { invalidArgument, notFound } from '#api/errors/errors.ts'
import type { DiffDefinition } from '#api/gen/containerd/services/diff/v1/diff.ts'
import type { ServiceImpl } from '#api/rpc/server.ts'
import { isDigest } from '#api/types/digest.ts'
import { mediaTypes } from '#api/types/oci.ts'
import type { Diffs } from './diff.ts'

export function diffService(diffs: Diffs): ServiceImpl<typeof DiffDefinition> {
  return {
    async apply({ diff, mounts, syncFs }, { namespace, signal }) {
      if (diff === undefined) throw invalidArgument('diff: the layer to apply must be set')
      // containerd looks it up as it stands; what is no digest is not there.
      if (!isDigest(diff.digest))
        throw notFound(`failed to get reader from content store: content digest ${diff.digest}`)
      const layer = { mediaType: diff.mediaType, digest: diff.digest }
      const { diffID, uncompressedBytes } = await diffs.apply(namespace, layer, mounts, { sync: syncFs, signal })
      return { applied: { mediaType: mediaTypes.ociLayer, digest: diffID, size: BigInt(uncompressedBytes) } }
    },

    async diff({ left, right, mediaType, ref, labels, sourceDateEpoch }, { namespace, lease, signal }) {
      const latestSeconds = sourceDateEpoch && Number(sourceDateEpoch.seconds)
      const options = { mediaType: mediaType || undefined, ref, labels, latestSeconds, lease, signal }
      const made = await diffs.diff(namespace, left, right, options)
      const annotations = { 'containerd.io/uncompressed': made.diffID }
      return { diff: { mediaType: made.mediaType, digest: made.digest, size: BigInt(made.sizeBytes), annotations } }
    },
  }
}

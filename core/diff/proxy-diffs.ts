/** A differ behind a channel: containerd's diff service, as its proxy plugins of type `diff` serve it. */
import { invalidArgument } from '#api/errors/errors.ts'
import { DiffDefinition } from '#api/gen/containerd/services/diff/v1/diff.ts'
import type { Descriptor } from '#api/gen/containerd/types/descriptor.ts'
import { type Channel, createClient } from '#api/rpc/client.ts'
import { isDigest, parseDigest } from '#api/types/digest.ts'
import type { Diffs } from './diff.ts'

/** What a differ does; the rest of {@link Diffs} is ours. */
export type Differ = Pick<Diffs, 'apply' | 'diff'>

/** `name` is for messages. */
export function proxyDiffer(name: string, channel: Channel): Differ {
  const client = createClient(DiffDefinition, channel)
  return {
    async apply(namespace, { mediaType, digest }, mounts, { sync = false, signal } = {}) {
      const request = { diff: { mediaType, digest }, mounts: [...mounts], syncFs: sync }
      const { applied } = await client.apply(request, { namespace, ...(signal && { signal }) })
      const { digest: diffID, size } = answered(name, applied)
      return { diffID: parseDigest(diffID), uncompressedBytes: Number(size), entries: 0 }
    },
    async diff(namespace, left, right, { mediaType = '', ref = '', labels = {}, lease, signal } = {}) {
      const request = { left: [...left], right: [...right], mediaType, ref, labels: { ...labels } }
      const options = { namespace, ...(lease !== undefined && { lease }), ...(signal && { signal }) }
      const made = answered(name, (await client.diff(request, options)).diff)
      const diffID = made.annotations['containerd.io/uncompressed'] ?? ''
      return {
        mediaType: made.mediaType,
        digest: parseDigest(made.digest),
        sizeBytes: Number(made.size),
        diffID: parseDigest(diffID === '' && made.mediaType.endsWith('.tar') ? made.digest : diffID),
      }
    },
  }
}

function answered(name: string, descriptor: Descriptor | undefined): Descriptor {
  if (descriptor !== undefined && isDigest(descriptor.digest)) return descriptor
  throw invalidArgument(`${name} answered no digest ("${descriptor?.digest ?? ''}")`)
}

/**
 * A differ as a value: what unpacks layers of media types that Gantry cannot read by itself, or packs such. It serves
 * containerd's diff service, so it works under containerd too, as a `[proxy_plugins]` entry of type `diff`.
 *
 *     export const xz = defineDiffer({
 *       id: 'xz', version: '1.0.0', mediaTypes: ['application/vnd.oci.image.layer.v1.tar+xz'],
 *       create: async () => ({ apply: async (layer, { blob, unpack }) => await unpack(decompress(blob(layer.digest))) }),
 *     })
 *     // main.ts: await serve(xz)
 *
 * A layer is applied to a tree that nobody else uses, and whoever asked throws it away when that fails.
 */
import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { invalidArgument, notImplemented } from '#api/errors/errors.ts'
import { ContentDefinition } from '#api/gen/containerd/services/content/v1/content.ts'
import { DiffDefinition } from '#api/gen/containerd/services/diff/v1/diff.ts'
import type { Descriptor } from '#api/gen/containerd/types/descriptor.ts'
import { type Channel, connect, createClient } from '#api/rpc/client.ts'
import type { CallContext, ServiceImpl } from '#api/rpc/definition.ts'
import { withTree } from '#api/sys/layer-tree.ts'
import { applyLayer } from '#api/sys/sys.ts'
import type { Mount } from '#api/types/mount.ts'
import { mediaTypes as ociTypes } from '#api/types/oci.ts'
import { type CommonDefinition, coreAddress, definePlugin } from './core-caller.ts'
import { type PluginDefinition, type PluginEnv, service } from './plugin.ts'

/** What is in a layer, uncompressed. */
export interface Unpacked {
  /** `sha256:…` of the tar: the diffID. */
  readonly digest: string
  readonly sizeBytes: number
}

/** What there is for one call of {@link Differ.apply}. */
export interface ApplyTools {
  readonly namespace: string
  readonly signal: AbortSignal
  /** A blob of the core's content store, from its beginning. NOT_FOUND. */
  blob(digest: string): AsyncIterable<Uint8Array>
  /**
   * Writes a layer's tar, compressed as Gantry knows it or not at all, to the tree: entries, whiteouts, owners, attributes. It
   * goes to a file of the plugin's first. INVALID_ARGUMENT: it reaches outside the tree; DATA_LOSS: it is damaged.
   */
  unpack(tar: AsyncIterable<Uint8Array>): Promise<Unpacked>
  /** The tree, for a differ that writes it in its own way. */
  readonly mounts: readonly Mount[]
}

/** A differ at work. */
export interface Differ {
  /** NOT_IMPLEMENTED: somebody else is asked. */
  apply(layer: Descriptor, tools: ApplyTools): Promise<Unpacked>
  /** Called once, after the last call has ended. */
  close?(): Promise<void>
}

export interface DifferDefinition<Config> extends Omit<CommonDefinition<Config>, 'capabilities'> {
  /** Of the layers it is asked for. */
  readonly mediaTypes: readonly string[]
  create(env: PluginEnv<Config>): Promise<Differ>
}

export function defineDiffer<Config = unknown>(definition: DifferDefinition<Config>): PluginDefinition<Config> {
  const { mediaTypes, ...rest } = definition
  return definePlugin('differ', { ...rest, capabilities: mediaTypes }, async env => {
    const differ = await definition.create(env)
    const core = connect(coreAddress(), { peer: 'gantryd' })
    return {
      services: [service(DiffDefinition, diffService(differ, { core, folder: env.state, mediaTypes }))],
      async close() {
        await differ.close?.()
        core.close()
      },
    }
  })
}

interface Surroundings {
  readonly core: Channel
  /** For what is on its way. */
  readonly folder: string
  readonly mediaTypes: readonly string[]
}

function diffService(differ: Differ, surroundings: Surroundings): ServiceImpl<typeof DiffDefinition> {
  return {
    async apply({ diff: layer, mounts, syncFs }, context) {
      if (layer === undefined) throw invalidArgument('diff: the layer to apply must be set')
      if (!surroundings.mediaTypes.includes(layer.mediaType))
        throw notImplemented(
          `media type "${layer.mediaType}" (this differ reads ${surroundings.mediaTypes.join(', ')})`,
        )
      const { digest, sizeBytes } = await differ.apply(layer, toolsFor(mounts, syncFs, context, surroundings))
      return { applied: { mediaType: ociTypes.ociLayer, digest, size: BigInt(sizeBytes) } }
    },
    async diff({ mediaType }) {
      throw notImplemented(`writing "${mediaType}": this differ reads only`)
    },
  }
}

function toolsFor(
  mounts: readonly Mount[],
  sync: boolean,
  { namespace = 'default', signal }: CallContext,
  { core, folder }: Surroundings,
): ApplyTools {
  const content = createClient(ContentDefinition, core)
  return {
    namespace,
    signal,
    mounts,
    async *blob(digest) {
      for await (const { data } of content.read({ digest }, { namespace, signal })) yield data
    },
    async unpack(tar) {
      await using undo = new AsyncDisposableStack()
      const scratch = await mkdtemp(join(folder, 'layer-'))
      undo.defer(() => rm(scratch, { recursive: true, force: true }))
      const source = join(scratch, 'tar')
      await pipeline(Readable.from(tar), createWriteStream(source), { signal })
      return await withTree(mounts, scratch, async ({ path: target, format, lowers, userxattr }) => {
        const request = { source, compression: 'auto' as const, target, format, userxattr, sync, lowers: [...lowers] }
        const { diffId, uncompressedBytes } = await applyLayer(request, signal)
        return { digest: diffId, sizeBytes: uncompressedBytes }
      })
    },
  }
}

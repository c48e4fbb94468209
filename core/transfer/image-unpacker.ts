/** {@link Unpacker}: stored images into snapshots. */
import { isGantryError, notFound } from '#api/errors/errors.ts'
import { type ChainID, chainIDs } from '#api/types/digest.ts'
import { type ConfigSummary, maxManifestBytes, parseConfigSummary } from '#api/types/oci.ts'
import { formatPlatform, hostPlatform, type Platform } from '#api/types/platform.ts'
import type { Descriptor } from '#core/images/images.ts'
import { addLabels, ociDescriptor, storedManifests, type TransferParts } from './context.ts'
import { type ImageNode, imageFor, readTree } from './image-tree.ts'
import type { LayerStack, LayerUnpacker } from './layer-unpacker.ts'
import { snapshotLabel } from './object-names.ts'
import type { UnpackedImage, Unpacker, UnpackOptions } from './transfer.ts'
import { holdLease } from './transfer-lease.ts'

/** What content says never changes: which image a target and platform mean. */
interface KnownImage {
  readonly node: ImageNode
  readonly config: ConfigSummary
}

const maxKnown = 512
const none = new AbortController().signal

export class ImageUnpacker implements Unpacker {
  readonly #parts: TransferParts
  readonly #layers: LayerUnpacker
  readonly #known = new Map<string, KnownImage>()

  constructor(parts: TransferParts, layers: LayerUnpacker) {
    this.#parts = parts
    this.#layers = layers
  }

  async ensureUnpacked(ns: string, target: Descriptor, options: UnpackOptions): Promise<UnpackedImage> {
    const platform = options.platform ?? hostPlatform()
    const known = await this.#lookUp(ns, target, platform)
    const chainID: ChainID | '' = chainIDs(known.config.diffIDs).at(-1) ?? ''
    if (!(await this.#isReady(ns, known, chainID, options))) await this.#unpack(ns, target, known, options)
    const { descriptor, manifest } = known.node
    return { manifest: descriptor, config: manifest.config, diffIDs: known.config.diffIDs, chainID }
  }

  /** Unpacks one image of a tree, and ties the snapshots to its configuration. */
  async unpackNode(
    node: ImageNode,
    config: ConfigSummary,
    stack: Omit<LayerStack, 'layers' | 'diffIDs'>,
  ): Promise<ChainID | ''> {
    const { layers, config: blob } = node.manifest
    const chainID = await this.#layers.unpack({ ...stack, layers, diffIDs: config.diffIDs })
    if (chainID !== '')
      await addLabels(this.#parts.content, stack.ns, blob.digest, { [snapshotLabel(stack.snapshotter)]: chainID })
    return chainID
  }

  /** Reads a configuration that is in the content store. */
  async readConfig(ns: string, what: string, node: ImageNode): Promise<ConfigSummary> {
    const { digest } = node.manifest.config
    return parseConfigSummary(
      `${what}: config ${digest}`,
      await this.#parts.content.readAll(ns, digest, maxManifestBytes),
    )
  }

  async #lookUp(ns: string, target: Descriptor, platform: Platform): Promise<KnownImage> {
    const key = `${target.digest} ${formatPlatform(platform)}`
    const known = this.#known.get(key)
    // Another namespace's content is not ours to use: the root must be here.
    if (known && (await this.#has(ns, known))) return known
    const found = await this.#find(ns, target, platform)
    if (this.#known.size >= maxKnown) this.#known.delete(this.#known.keys().next().value ?? '')
    this.#known.set(key, found)
    return found
  }

  async #has(ns: string, { node }: KnownImage): Promise<boolean> {
    try {
      await this.#parts.content.info(ns, node.manifest.config.digest)
      return true
    } catch (error) {
      if (isGantryError(error, 'NOT_FOUND')) return false
      throw error
    }
  }

  async #find(ns: string, target: Descriptor, platform: Platform): Promise<KnownImage> {
    const read = storedManifests(this.#parts.content, ns, target.digest)
    const tree = await readTree(target.digest, ociDescriptor(target), { platforms: [platform] }, read)
    const node = imageFor(tree, platform)
    if (node === undefined)
      throw notFound(`image "${target.digest}" has no manifest for platform ${formatPlatform(platform)}`)
    return { node, config: await this.readConfig(ns, `image "${target.digest}"`, node) }
  }

  async #isReady(ns: string, { node }: KnownImage, chainID: ChainID | '', { snapshotter, signal }: UnpackOptions) {
    if (chainID === '') return true
    try {
      await this.#parts.snapshots.on(snapshotter).stat(ns, chainID, signal)
    } catch (error) {
      if (isGantryError(error, 'NOT_FOUND')) return false
      throw error
    }
    // Without the label the snapshots are another image's, and go with it.
    const { labels } = await this.#parts.content.info(ns, node.manifest.config.digest)
    return labels[snapshotLabel(snapshotter)] === chainID
  }

  async #unpack(ns: string, target: Descriptor, { node, config }: KnownImage, options: UnpackOptions): Promise<void> {
    await using lease = await holdLease(this.#parts.leases, ns, options.lease)
    const { snapshotter, signal = none } = options
    await this.unpackNode(node, config, { ns, what: `image "${target.digest}"`, snapshotter, lease: lease.id, signal })
  }
}

/** Roots in the making: snapshots of the core's, seen as directories, grown by a layer at a time. */
import { createHash } from 'node:crypto'
import { mkdtemp, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { writeStream } from '#api/content/write-blob.ts'
import { internal, isGantryError } from '#api/errors/errors.ts'
import type { Descriptor } from '#api/gen/containerd/types/descriptor.ts'
import type { Mount } from '#api/gen/containerd/types/mount.ts'
import { mount, unmount } from '#api/sys/sys.ts'
import { timestampOf } from '#api/types/clock.ts'
import { mediaTypes } from '#api/types/oci.ts'
import type { Layer, Root } from '../solve/stage-state.ts'
import type { Core } from './clients.ts'
import { parentMounts } from './parent-mounts.ts'
import { ignoreMissing } from './sweep.ts'

/** Fast rather than small: a layer that is pushed is read once more anyway. */
const gzipLevel = 1
/** Each is a message to the core. */
const gzipChunkBytes = 256 * 1024

/** Of an archive without entries, which is no layer. */
const emptyDiffID = `sha256:${createHash('sha256').update(Buffer.alloc(1024)).digest('hex')}`

export interface LayersOptions {
  readonly snapshotter: string
  /** Private folder for mount points. */
  readonly state: string
  readonly lease: string
  /** No file of a layer made here is younger. */
  readonly epoch: Date | undefined
}

/** A writable snapshot, for as long as its layer is in the making. */
export interface ActiveRoot {
  readonly key: string
  readonly mounts: Mount[]
  readonly undo: AsyncDisposableStack
}

export class Layers {
  readonly #core: Core
  readonly #options: LayersOptions

  constructor(core: Core, options: LayersOptions) {
    this.#core = core
    this.#options = options
  }

  /** `body` sees the root as a directory, read-only; it is gone afterwards. */
  async withView<T>(root: Root, body: (path: string) => Promise<T>): Promise<T> {
    await using view = await this.openView(root)
    return await body(view.path)
  }

  /** The root as a directory, read-only, until it is disposed of. */
  async openView({ chainID }: Root): Promise<AsyncDisposable & { readonly path: string }> {
    const key = `build-view-${crypto.randomUUID()}`
    await using undo = new AsyncDisposableStack()
    const folder = await mkdtemp(join(this.#options.state, 'view-'))
    undo.defer(() => rmdir(folder))
    if (chainID !== '') await this.#mountView(key, chainID, folder, undo)
    const held = undo.move()
    return { path: folder, [Symbol.asyncDispose]: () => held.disposeAsync() }
  }

  /** The root as a directory whose changes nobody keeps, until it is disposed of. */
  async openCopy({ chainID }: Root): Promise<AsyncDisposable & { readonly path: string }> {
    const key = `build-copy-${crypto.randomUUID()}`
    await using undo = new AsyncDisposableStack()
    const folder = await mkdtemp(join(this.#options.state, 'view-'))
    undo.defer(() => rmdir(folder))
    const { mounts } = await this.#snapshots.prepare({ ...this.#named, key, parent: chainID }, this.#leased)
    undo.defer(() => this.#remove(key))
    await mount(mounts, folder)
    undo.defer(() => unmount(folder))
    const held = undo.move()
    return { path: folder, [Symbol.asyncDispose]: () => held.disposeAsync() }
  }

  async #mountView(key: string, chainID: string, folder: string, undo: AsyncDisposableStack): Promise<void> {
    const { mounts } = await this.#snapshots.view({ ...this.#named, key, parent: chainID }, this.#leased)
    undo.defer(() => this.#remove(key))
    await mount(readOnly(mounts), folder)
    undo.defer(() => unmount(folder))
  }

  /**
   * The root with a layer on top that holds what `fill` did to the writable snapshot it is given; undefined: the layer
   * is yet to be made of it. The root itself when nothing changed. What `fill` defers is done after the layer is
   * committed, or not to be.
   */
  async grow(root: Root, fill: (active: ActiveRoot) => Promise<Layer | undefined>): Promise<Root> {
    const key = `build-${crypto.randomUUID()}`
    await using undo = new AsyncDisposableStack()
    const { mounts } = await this.#snapshots.prepare({ ...this.#named, key, parent: root.chainID }, this.#leased)
    undo.defer(() => this.#remove(key))
    const given = await fill({ key, mounts, undo })
    const layer = given ?? (await this.#difference(root, mounts))
    if (given === undefined && layer.diffID === emptyDiffID) return root
    const chainID = chain(root.chainID, layer.diffID)
    await this.#commit(key, chainID, layer)
    return { chainID, layers: [...root.layers, layer] }
  }

  /** A root grown by an archive, which becomes the layer as it is. */
  async addArchive(root: Root, archive: AsyncIterable<Uint8Array>): Promise<Root> {
    const layer = await this.#store(archive)
    return layer.diffID === emptyDiffID ? root : this.addLayer(root, layer)
  }

  /** A root grown by a layer whose blob the core has. INTERNAL: the blob holds another layer than it is said to. */
  async addLayer(root: Root, layer: Layer): Promise<Root> {
    return this.grow(root, async ({ mounts }) => {
      const { applied } = await this.#core.diffs.apply({ diff: layer.descriptor, mounts }, this.#leased)
      if (applied?.digest !== layer.diffID) throw internal(`layer ${layer.diffID} came out as ${applied?.digest}`)
      return layer
    })
  }

  /** Makes the snapshots of layers whose blobs the core has: those of an image for another platform than this one. */
  async unpack(layers: readonly Layer[]): Promise<void> {
    let root: Root = { chainID: '', layers: [] }
    for (const layer of layers) {
      const next = { chainID: chain(root.chainID, layer.diffID), layers: [...root.layers, layer] }
      root = (await this.hold(next)) ? next : await this.addLayer(root, layer)
    }
  }

  /** True when it is there, and cannot go before the build ends. */
  async hold(root: Root): Promise<boolean> {
    const resource = { id: root.chainID, type: `snapshots/${this.#options.snapshotter}` }
    // Held first: what is here then stays.
    await ignoreMissing(this.#core.leases.addResource({ id: this.#options.lease, resource }))
    return this.isHere(root)
  }

  /** True when it can be built on. What the cache has of it stays: nothing but pruning, which leaves out what builds use, unpins it. */
  async isHere({ chainID }: Root): Promise<boolean> {
    try {
      await this.#snapshots.stat({ ...this.#named, key: chainID }, this.#leased)
      return true
    } catch (error) {
      if (isGantryError(error, 'NOT_FOUND')) return false
      throw error
    }
  }

  async #store(archive: AsyncIterable<Uint8Array>): Promise<Layer> {
    const hash = createHash('sha256')
    const compressed = new PassThrough()
    const written = pipeline(
      archive,
      async function* (chunks: AsyncIterable<Uint8Array>) {
        for await (const chunk of chunks) {
          hash.update(chunk)
          yield chunk
        }
      },
      createGzip({ level: gzipLevel, chunkSize: gzipChunkBytes }),
      compressed,
    )
    written.catch(error => compressed.destroy(error))
    const diffID = () => `sha256:${hash.copy().digest('hex')}`
    const ref = `build-${crypto.randomUUID()}`
    const labels = () => ({ 'containerd.io/uncompressed': diffID() })
    const blob = await writeStream(this.#core, compressed, { ref, lease: this.#options.lease, labels })
    await written
    return { descriptor: layerDescriptor(blob.digest, BigInt(blob.sizeBytes)), diffID: diffID() }
  }

  async #difference({ chainID }: Root, right: Mount[]): Promise<Layer> {
    const key = `build-left-${crypto.randomUUID()}`
    await using undo = new AsyncDisposableStack()
    const view = async () => {
      const { mounts } = await this.#snapshots.view({ ...this.#named, key, parent: chainID }, this.#leased)
      undo.defer(() => this.#remove(key))
      return mounts
    }
    const left = chainID === '' ? [] : (parentMounts(right) ?? (await view()))
    const { epoch } = this.#options
    const sourceDateEpoch = epoch && timestampOf(epoch.getTime())
    const request = { left, right, mediaType: mediaTypes.ociLayerGzip, sourceDateEpoch }
    const { diff } = await this.#core.diffs.diff(request, this.#leased)
    if (diff === undefined) throw internal('the core answered no layer')
    const diffID = diff.annotations['containerd.io/uncompressed'] ?? (await this.#diffIDOf(diff.digest))
    return { descriptor: layerDescriptor(diff.digest, diff.size), diffID }
  }

  /** Of a differ that tells it by the blob's label alone. */
  async #diffIDOf(digest: string): Promise<string> {
    const { info } = await this.#core.content.info({ digest }, this.#leased)
    return info?.labels['containerd.io/uncompressed'] ?? ''
  }

  /** Kept by a label until the cache is pruned: its content too. */
  async #commit(key: string, name: string, { descriptor }: Layer): Promise<void> {
    const labels = {
      'containerd.io/gc.root': new Date().toISOString(),
      'containerd.io/gc.ref.content.layer': descriptor.digest,
    }
    try {
      await this.#snapshots.commit({ ...this.#named, name, key, labels }, this.#leased)
    } catch (error) {
      // The same layers were made before: one is as good as the other.
      if (!isGantryError(error, 'ALREADY_EXISTS')) throw error
      const paths = Object.keys(labels).map(label => `labels.${label}`)
      await this.#snapshots.update({ ...this.#named, info: { name, labels }, updateMask: paths }, this.#leased)
    }
  }

  async #remove(key: string): Promise<void> {
    await this.#snapshots.remove({ ...this.#named, key }).catch(error => {
      if (!isGantryError(error, 'NOT_FOUND')) throw error
    })
  }

  get #snapshots() {
    return this.#core.snapshots
  }

  get #named() {
    return { snapshotter: this.#options.snapshotter }
  }

  get #leased() {
    return { lease: this.#options.lease }
  }
}

/** ChainID of layers (OCI image spec, config.md). */
export function chain(parent: string, diffID: string): string {
  return parent === '' ? diffID : `sha256:${createHash('sha256').update(`${parent} ${diffID}`).digest('hex')}`
}

function layerDescriptor(digest: string, size: bigint): Descriptor {
  return { mediaType: mediaTypes.ociLayerGzip, digest, size, annotations: {} }
}

function readOnly(mounts: readonly Mount[]) {
  return mounts.map(({ type, source, target, options }) => ({
    ...{ type, source, target },
    options: options.includes('ro') ? options : [...options.filter(option => option !== 'rw'), 'ro'],
  }))
}

/** How much room layers take, unpacked: what Docker means by the size of an image. */

import { blobInfo } from '#api/content/read-blob.ts'
import { isGantryError } from '#api/errors/errors.ts'
import type { Core } from '../core-client/core.ts'
import type { ImageTarget } from './image-target.ts'

const snapshotLabel = 'containerd.io/gc.ref.snapshot.'

/** Committed snapshots do not change, so each is measured once; the map is bounded by what a disk holds. */
const maxKept = 10_000

export class LayerSizes {
  readonly #core: Core
  readonly #byChainId = new Map<string, number>()

  constructor(core: Core) {
    this.#core = core
  }

  /** Bytes per layer, lowest first. A layer that was never unpacked here counts as it was downloaded. */
  async of(image: ImageTarget): Promise<number[]> {
    const missing = image.chainIds.some(chainId => !this.#byChainId.has(chainId))
    const snapshotter = missing ? await this.snapshotterOf(image) : undefined
    return Promise.all(
      image.chainIds.map((chainId, i) => this.#layer(chainId, snapshotter, image.layers[i]?.size ?? 0)),
    )
  }

  async total(image: ImageTarget): Promise<number> {
    return (await this.of(image)).reduce((sum, size) => sum + size, 0)
  }

  /** Where the image is unpacked; undefined: nowhere yet. */
  async snapshotterOf({ config }: ImageTarget): Promise<string | undefined> {
    const labels = (await blobInfo(this.#core, config.digest))?.labels ?? {}
    const label = Object.keys(labels).find(key => key.startsWith(snapshotLabel))
    return label?.slice(snapshotLabel.length)
  }

  async #layer(chainId: string, snapshotter: string | undefined, otherwise: number): Promise<number> {
    const known = this.#byChainId.get(chainId)
    if (known !== undefined || snapshotter === undefined) return known ?? otherwise
    try {
      const { size } = await this.#core.snapshots.usage({ snapshotter, key: chainId })
      if (this.#byChainId.size >= maxKept) this.#byChainId.clear()
      this.#byChainId.set(chainId, Number(size))
      return Number(size)
    } catch (error) {
      if (isGantryError(error, 'NOT_FOUND')) return otherwise
      throw error
    }
  }
}

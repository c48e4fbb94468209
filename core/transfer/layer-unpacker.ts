/** Layers into snapshots, one on the other, each named by its chainID. */
import { randomBytes } from 'node:crypto'
import { failedPrecondition, invalidArgument, isGantryError } from '#api/errors/errors.ts'
import { type ChainID, chainIDs, type DiffID } from '#api/types/digest.ts'
import { layerCompression, type OciDescriptor } from '#api/types/oci.ts'
import type { NamespacedSnapshotter } from '#core/snapshots/snapshots.ts'
import { addLabels, type TransferConfig, type TransferParts } from './context.ts'
import { Limiter } from './limiter.ts'
import { snapshotResource, uncompressedLabel } from './object-names.ts'
import { SingleFlight } from './single-flight.ts'

/** One image's layers, to unpack. */
export interface LayerStack {
  readonly ns: string
  /** Starts error messages: `image "x"`. */
  readonly what: string
  readonly layers: readonly OciDescriptor[]
  readonly diffIDs: readonly DiffID[]
  readonly snapshotter: string
  readonly lease: string
  readonly signal: AbortSignal
  /** Fulfilled when the blob of layer `i` is in the content store. */
  readonly ready?: (i: number) => Promise<void>
  readonly onLayer?: (event: 'extracting' | 'extracted', layer: OciDescriptor) => void
}

interface Step {
  readonly stack: LayerStack
  readonly snapshots: NamespacedSnapshotter
  readonly layer: OciDescriptor
  readonly diffID: DiffID
  readonly chainID: ChainID
  readonly parent: ChainID | ''
}

/** Unpacks for the whole daemon: the same layers on the same parents are unpacked once at a time. */
export class LayerUnpacker {
  readonly #parts: TransferParts
  readonly #config: TransferConfig
  readonly #flights = new SingleFlight<void>()
  readonly #limiter: Limiter

  constructor(parts: TransferParts, config: TransferConfig) {
    this.#parts = parts
    this.#config = config
    this.#limiter = new Limiter(config.maxUnpacks ?? 2)
  }

  /** Answers the name of the topmost snapshot, empty without layers. Errors as `Unpacker.ensureUnpacked`. */
  async unpack(stack: LayerStack): Promise<ChainID | ''> {
    const { ns, layers, diffIDs, snapshotter, lease, signal } = stack
    checkStack(stack)
    const snapshots = this.#parts.snapshots.on(snapshotter)
    const chain = chainIDs(diffIDs)
    for (const name of chain) await this.#parts.leases.addResource(ns, lease, snapshotResource(snapshotter, name))
    const present = await this.#topmostPresent(snapshots, stack, chain)
    for (const [i, layer] of layers.entries()) {
      if (i <= present) continue
      await stack.ready?.(i)
      const chainID = chain[i] as ChainID
      const step = {
        stack,
        snapshots,
        layer,
        diffID: diffIDs[i] as DiffID,
        chainID,
        parent: chain[i - 1] ?? '',
      } as const
      await this.#flights.run(`${ns} ${snapshotter} ${chainID}`, signal, shared => this.#once(step, shared))
    }
    return chain.at(-1) ?? ''
  }

  async #topmostPresent(snapshots: NamespacedSnapshotter, { ns, signal }: LayerStack, chain: readonly ChainID[]) {
    for (let i = chain.length - 1; i >= 0; i--)
      if (await isCommitted(snapshots, ns, chain[i] as ChainID, signal)) return i
    return -1
  }

  async #once(step: Step, signal: AbortSignal): Promise<void> {
    const { stack, snapshots, chainID } = step
    if (await isCommitted(snapshots, stack.ns, chainID, signal)) return
    await this.#limiter.run(signal, () => this.#unpackLayer(step, signal))
  }

  async #unpackLayer({ stack, snapshots, layer, diffID, chainID, parent }: Step, signal: AbortSignal): Promise<void> {
    const { ns, what, lease } = stack
    const key = `extract-${randomBytes(6).toString('hex')} ${chainID}`
    stack.onLayer?.('extracting', layer)
    const mounts = await snapshots.prepare(ns, key, parent, { lease, signal })
    await using undo = new AsyncDisposableStack()
    undo.defer(() => snapshots.remove(ns, key))
    const sync = this.#config.syncLayers ?? true
    const applied = await this.#parts.diffs.apply(ns, layer, mounts, { sync, signal })
    if (applied.diffID !== diffID)
      throw failedPrecondition(
        `${what}: layer ${layer.digest} unpacks to diffID ${applied.diffID}, but the image's configuration says ${diffID}`,
      )
    if (!(await committed(snapshots, ns, chainID, key, lease))) return
    undo.move()
    await addLabels(this.#parts.content, ns, layer.digest, { [uncompressedLabel]: diffID })
    stack.onLayer?.('extracted', layer)
  }
}

/** False when somebody else had committed the same by now; ours is then left to be removed. */
async function committed(
  snapshots: NamespacedSnapshotter,
  ns: string,
  chainID: ChainID,
  key: string,
  lease: string,
): Promise<boolean> {
  try {
    await snapshots.commit(ns, chainID, key, { lease })
    return true
  } catch (error) {
    if (isGantryError(error, 'ALREADY_EXISTS')) return false
    throw error
  }
}

async function isCommitted(snapshots: NamespacedSnapshotter, ns: string, name: ChainID, signal: AbortSignal) {
  try {
    return (await snapshots.stat(ns, name, signal)).kind === 'committed'
  } catch (error) {
    if (isGantryError(error, 'NOT_FOUND')) return false
    throw error
  }
}

function checkStack({ what, layers, diffIDs }: LayerStack): void {
  if (layers.length !== diffIDs.length)
    throw invalidArgument(`${what}: ${layers.length} layers, but the configuration lists ${diffIDs.length} diffIDs`)
  const odd = layers.find(({ mediaType }) => layerCompression(mediaType) === undefined)
  if (odd)
    throw invalidArgument(`${what}: layer ${odd.digest} has media type "${odd.mediaType}", which cannot be unpacked`)
}

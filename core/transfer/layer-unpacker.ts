/** Layers into snapshots, one on the other, each named by its chainID. */
import { randomBytes } from 'node:crypto'
import { failedPrecondition, invalidArgument, isGantryError } from '#api/errors/errors.ts'
import { type ChainID, chainIDs, type DiffID } from '#api/types/digest.ts'
import type { OciDescriptor } from '#api/types/oci.ts'
import type { Diffs } from '#core/diff/diff.ts'
import type { Mount, NamespacedSnapshotter } from '#core/snapshots/snapshots.ts'
import { isDiskFull } from './blob-writing.ts'
import { addLabels, type TransferConfig, type TransferParts } from './context.ts'
import { Limiter } from './limiter.ts'
import { snapshotResource, uncompressedLabel } from './object-names.ts'
import { type LayerOrigin, remoteLayerLabels } from './remote-layers.ts'
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
  /** For a remote snapshotter: where it may find the layers itself. */
  readonly origin?: LayerOrigin | undefined
  readonly onLayer?: (event: 'extracting' | 'extracted' | 'provided', layer: OciDescriptor) => void
}

interface Step {
  readonly stack: LayerStack
  readonly snapshots: NamespacedSnapshotter
  /** Which layer of the stack. */
  readonly index: number
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
    const { layers, diffIDs, snapshotter } = stack
    checkStack(stack, this.#parts.diffs)
    const snapshots = this.#parts.snapshots.on(snapshotter)
    const chain = chainIDs(diffIDs)
    const present = await this.#topmostPresent(snapshots, stack, chain)
    for (const [i, layer] of layers.entries()) {
      if (i <= present) continue
      // A remote snapshotter is asked before anything is downloaded.
      if (stack.origin === undefined) await stack.ready?.(i)
      const [diffID, chainID] = [diffIDs[i] as DiffID, chain[i] as ChainID]
      await this.#shared({ stack, snapshots, index: i, layer, diffID, chainID, parent: chain[i - 1] ?? '' })
    }
    return chain.at(-1) ?? ''
  }

  /** Ours if we are first; else whoever is first does it, and our lease then holds the result too. */
  async #shared(step: Step): Promise<void> {
    const { ns, snapshotter, lease, signal } = step.stack
    let ours = false
    do {
      const work = (shared: AbortSignal) => {
        ours = true
        return this.#once(step, shared)
      }
      await this.#flights.run(`${ns} ${snapshotter} ${step.chainID}`, signal, work).catch((error: unknown) => {
        // The first one withdrew, and its lease is gone: then it is our turn.
        if (ours || !isGantryError(error, 'NOT_FOUND')) throw error
      })
      if (!ours) await this.#parts.leases.addResource(ns, lease, snapshotResource(snapshotter, step.chainID))
      // The other one's lease may have ended, and the snapshot with it, before ours had it.
    } while (!ours && !(await isCommitted(step.snapshots, ns, step.chainID, signal)))
  }

  /** Held first and looked at again: what is there then stays. Its parents stay with it. */
  async #topmostPresent(snapshots: NamespacedSnapshotter, stack: LayerStack, chain: readonly ChainID[]) {
    const { ns, snapshotter, lease, signal } = stack
    for (let i = chain.length - 1; i >= 0; i--) {
      const name = chain[i] as ChainID
      if (!(await isCommitted(snapshots, ns, name, signal))) continue
      await this.#parts.leases.addResource(ns, lease, snapshotResource(snapshotter, name))
      if (await isCommitted(snapshots, ns, name, signal)) return i
    }
    return -1
  }

  async #once(step: Step, signal: AbortSignal): Promise<void> {
    const { stack, snapshots, chainID, index } = step
    if (await isCommitted(snapshots, stack.ns, chainID, signal)) return
    const key = `extract-${randomBytes(6).toString('hex')} ${chainID}`
    await using undo = new AsyncDisposableStack()
    const prepare = async () => {
      const mounts = await this.#prepare(step, key, signal)
      if (mounts !== undefined) undo.defer(() => snapshots.remove(stack.ns, key))
      return mounts
    }
    const early = stack.origin === undefined ? undefined : await prepare()
    if (stack.origin !== undefined) {
      if (early === undefined) return stack.onLayer?.('provided', step.layer)
      await stack.ready?.(index)
    }
    const work = async () => this.#apply(step, key, early ?? (await prepare()) ?? [], signal)
    if (await this.#limiter.run(signal, work)) undo.move()
  }

  /** Undefined: the snapshotter has the layer, and has committed it. */
  async #prepare(step: Step, key: string, signal: AbortSignal): Promise<Mount[] | undefined> {
    const { stack, snapshots, chainID, parent, index } = step
    const { ns, lease, origin, layers } = stack
    const labels = origin && remoteLayerLabels(origin, chainID, layers.slice(index))
    try {
      return await snapshots.prepare(ns, key, parent, { lease, signal, labels })
    } catch (error) {
      const provided = origin !== undefined && isGantryError(error, 'ALREADY_EXISTS')
      if (!provided || !(await isCommitted(snapshots, ns, chainID, signal))) throw error
      return undefined
    }
  }

  /** False when somebody else had committed the same by now. */
  async #apply(step: Step, key: string, mounts: readonly Mount[], signal: AbortSignal): Promise<boolean> {
    const { stack, snapshots, layer, diffID, chainID } = step
    const { ns, what, lease } = stack
    stack.onLayer?.('extracting', layer)
    const sync = this.#config.syncLayers ?? true
    const applied = await this.#parts.diffs.apply(ns, layer, mounts, { sync, signal }).catch(async error => {
      if (isDiskFull(error)) await this.#parts.diffs.discard(mounts)
      throw error
    })
    if (applied.diffID !== diffID)
      throw failedPrecondition(
        `${what}: layer ${layer.digest} unpacks to diffID ${applied.diffID}, but the image's configuration says ${diffID}`,
      )
    if (!(await committed(snapshots, ns, chainID, key, lease))) return false
    await addLabels(this.#parts.content, ns, layer.digest, { [uncompressedLabel]: diffID })
    stack.onLayer?.('extracted', layer)
    return true
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

function checkStack({ what, layers, diffIDs }: LayerStack, diffs: Pick<Diffs, 'canApply'>): void {
  if (layers.length !== diffIDs.length)
    throw invalidArgument(`${what}: ${layers.length} layers, but the configuration lists ${diffIDs.length} diffIDs`)
  const odd = layers.find(({ mediaType }) => !diffs.canApply(mediaType))
  if (odd)
    throw invalidArgument(`${what}: layer ${odd.digest} has media type "${odd.mediaType}", which cannot be unpacked`)
}

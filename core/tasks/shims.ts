import { messageOf } from '#api/errors/errors.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'
import type { Logger } from '#api/log/log.ts'
import {
  type Bootstrap,
  type Bundle,
  type BundleRoots,
  bundleOf,
  claimBundle,
  fillBundle,
  hideBundle,
  readBootstrap,
  readShimPath,
  removeBundle,
  writeBootstrap,
} from './bundle.ts'
import { removeIfDead } from './dead-sockets.ts'
import { resolveShim, type ShimPlaces } from './runtime-name.ts'
import { followShimLog } from './shim-log.ts'
import { runShimDelete, type ShimSurroundings, startShim } from './shim-process.ts'

export interface ShimsParts {
  /** Folders of their own: what is below those of tasks is adopted as tasks. */
  readonly roots: BundleRoots
  readonly shims: ShimPlaces
  readonly surroundings: ShimSurroundings
  readonly logger: Logger
}

/** Shims that serve something else than a task: started in a bundle, found by it again after a restart. */
export class Shims {
  readonly #parts: ShimsParts
  readonly #logs = new Map<string, Disposable>()

  constructor(parts: ShimsParts) {
    this.#parts = parts
  }

  /** How to reach the shim of that name; undefined when there is none. */
  async find(ns: string, id: string): Promise<Bootstrap | undefined> {
    const bundle = this.#bundle(ns, id)
    const bootstrap = await readBootstrap(bundle)
    if (bootstrap !== undefined) await this.#followLog(bundle)
    return bootstrap
  }

  /** Starts one. NOT_FOUND: the executable; ALREADY_EXISTS: the bundle. After an error nothing is left. */
  async start(
    ns: string,
    id: string,
    runtime: { name: string; options?: Any | undefined },
    configJson: Uint8Array,
  ): Promise<{ bootstrap: Bootstrap; bundlePath: string }> {
    const { path: shimPath, options } = await resolveShim(runtime.name, this.#parts.shims)
    const bundle = this.#bundle(ns, id)
    await claimBundle(bundle)
    try {
      await fillBundle(bundle, configJson, shimPath)
      await this.#followLog(bundle)
      const bootstrap = await startShim(shimPath, bundle, runtime.options ?? options, this.#parts.surroundings)
      await writeBootstrap(bundle, bootstrap)
      return { bootstrap, bundlePath: bundle.path }
    } catch (error) {
      await this.remove(ns, id)
      throw error
    }
  }

  /** The shim's own `delete`, then the bundle; works on whatever is there. */
  async remove(ns: string, id: string): Promise<void> {
    const bundle = this.#bundle(ns, id)
    const shimPath = await readShimPath(bundle)
    const bootstrap = await readBootstrap(bundle)
    if (shimPath !== undefined)
      await runShimDelete(shimPath, bundle, this.#parts.surroundings).catch(error =>
        this.#parts.logger.warn({ ns, id, err: error }, `delete of a shim failed: ${messageOf(error)}`),
      )
    if (bootstrap !== undefined) await removeIfDead(bootstrap.address)
    this.#logs.get(bundle.path)?.[Symbol.dispose]()
    this.#logs.delete(bundle.path)
    const hidden = await hideBundle(bundle)
    if (hidden !== undefined) await removeBundle(hidden, bundle.workPath)
  }

  async #followLog(bundle: Bundle): Promise<void> {
    if (!this.#logs.has(bundle.path)) this.#logs.set(bundle.path, await followShimLog(bundle, this.#parts.logger))
  }

  #bundle(ns: string, id: string): Bundle {
    return bundleOf(this.#parts.roots, ns, id)
  }
}

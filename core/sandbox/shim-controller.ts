import { alreadyExists, invalidArgument, isGantryError, notFound, notImplemented } from '#api/errors/errors.ts'
import type {
  PlatformResponse,
  SandboxMetricsResponse,
  SandboxStatusResponse,
  StartSandboxResponse,
  WaitSandboxResponse,
} from '#api/gen/containerd/runtime/sandbox/v1/sandbox.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'
import type { Logger } from '#api/log/log.ts'
import { validateIdentifier } from '#api/types/identifiers.ts'
import type { Mount } from '#api/types/mount.ts'
import { type Bootstrap, type BundleRoots, type ShimPlaces, type ShimSurroundings, Shims } from '#core/tasks/tasks.ts'
import type { SandboxSpec } from './sandboxes.ts'
import { linkShim, type ShimLink } from './shim-link.ts'

export interface ShimControllerParts {
  /** Of sandboxes alone: bundles of tasks are adopted by others. */
  readonly roots: BundleRoots
  readonly shims: ShimPlaces
  readonly surroundings: ShimSurroundings
  readonly logger: Logger
}

export interface CreateOptions {
  readonly rootfs: readonly Mount[]
  readonly options: Any | undefined
  readonly netnsPath: string
  readonly annotations: Readonly<Record<string, string>>
}

/** Runs sandboxes by shims that offer to; see sandboxes.ts. */
export class ShimController {
  readonly #shims: Shims
  readonly #links = new Map<string, ShimLink>()
  readonly #waits = new Map<string, Promise<WaitSandboxResponse>>()

  constructor(parts: ShimControllerParts) {
    this.#shims = new Shims(parts)
  }

  /**
   * Starts the shim and has it make the sandbox. ALREADY_EXISTS; NOT_FOUND: no such shim; UNIMPLEMENTED: it runs no
   * sandboxes. After an error nothing is left.
   */
  async create(ns: string, { id, runtime, spec }: SandboxSpec, options: CreateOptions): Promise<void> {
    validateIdentifier(id, 'sandbox ID')
    if (runtime.name === '') throw invalidArgument(`sandbox "${id}" names no runtime`)
    if ((await this.#shims.find(ns, id)) !== undefined) throw alreadyExists(`sandbox ${id} already running`)
    const { bootstrap, bundlePath } = await this.#shims.start(ns, id, runtime, spec?.value ?? Buffer.from('{}'))
    const link = this.#link(ns, id, bootstrap)
    try {
      const { rootfs, annotations, ...rest } = options
      const request = { sandboxId: id, bundlePath, rootfs: [...rootfs], annotations: { ...annotations }, ...rest }
      await link.api.createSandbox(request)
    } catch (error) {
      await link.end(id)
      await this.#remove(ns, id)
      throw explained(error, id, runtime.name)
    }
  }

  /** NOT_FOUND. When it fails the sandbox is removed. */
  async start(ns: string, id: string): Promise<StartSandboxResponse & Pick<Bootstrap, 'address' | 'version'>> {
    const { api, bootstrap } = await this.#require(ns, id)
    try {
      const started = await api.startSandbox({ sandboxId: id })
      return { ...started, address: bootstrap.address, version: bootstrap.version }
    } catch (error) {
      await api.shutdownSandbox({ sandboxId: id }).catch(() => {})
      await this.#remove(ns, id)
      throw error
    }
  }

  async platform(ns: string, id: string): Promise<PlatformResponse> {
    return await (await this.#require(ns, id)).api.platform({ sandboxId: id })
  }

  /** No error when it does not run, or is not there. */
  async stop(ns: string, id: string, timeoutSecs: number): Promise<void> {
    const link = await this.#find(ns, id)
    try {
      await link?.api.stopSandbox({ sandboxId: id, timeoutSecs })
    } catch (error) {
      if (!isGantryError(error, 'NOT_FOUND') && !isGantryError(error, 'UNAVAILABLE')) throw error
    }
  }

  /** How it ended, when it has. All who wait share one question to the shim. NOT_FOUND. */
  async wait(ns: string, id: string): Promise<{ exit: WaitSandboxResponse; isFirst: boolean }> {
    const { api } = await this.#require(ns, id)
    const key = keyOf(ns, id)
    const known = this.#waits.get(key)
    const asked = known ?? api.waitSandbox({ sandboxId: id }).finally(() => this.#waits.delete(key))
    this.#waits.set(key, asked)
    return { exit: await asked, isFirst: known === undefined }
  }

  /** Undefined when it is not there. */
  async status(
    ns: string,
    id: string,
    verbose: boolean,
  ): Promise<(SandboxStatusResponse & Pick<Bootstrap, 'address' | 'version'>) | undefined> {
    const link = await this.#find(ns, id)
    if (link === undefined) return undefined
    const { address, version } = link.bootstrap
    return { ...(await link.api.sandboxStatus({ sandboxId: id, verbose })), address, version }
  }

  /** Ends the shim and removes the bundle. NOT_FOUND. */
  async shutdown(ns: string, id: string): Promise<void> {
    const { api } = await this.#require(ns, id)
    try {
      await api.shutdownSandbox({ sandboxId: id })
    } catch (error) {
      // It may end before it has answered.
      if (!isGantryError(error, 'UNAVAILABLE') && !isGantryError(error, 'NOT_FOUND')) throw error
    }
    await this.#remove(ns, id)
  }

  /** NOT_FOUND. */
  async require(ns: string, id: string): Promise<void> {
    await this.#require(ns, id)
  }

  /** The way to its shim, which serves the tasks of the sandbox too; undefined when it is not there. */
  async bootstrapOf(ns: string, id: string): Promise<Bootstrap | undefined> {
    return (await this.#find(ns, id))?.bootstrap
  }

  async metrics(ns: string, id: string): Promise<SandboxMetricsResponse> {
    return await (await this.#require(ns, id)).api.sandboxMetrics({ sandboxId: id })
  }

  /** Lets go of every shim; they live on. */
  close(): void {
    for (const link of this.#links.values()) link[Symbol.dispose]()
    this.#links.clear()
  }

  async #remove(ns: string, id: string): Promise<void> {
    this.#links.get(keyOf(ns, id))?.[Symbol.dispose]()
    this.#links.delete(keyOf(ns, id))
    await this.#shims.remove(ns, id)
  }

  async #require(ns: string, id: string): Promise<ShimLink> {
    const link = await this.#find(ns, id)
    if (link === undefined) throw notFound(`sandbox "${id}"`)
    return link
  }

  async #find(ns: string, id: string): Promise<ShimLink | undefined> {
    validateIdentifier(id, 'sandbox ID')
    const known = this.#links.get(keyOf(ns, id))
    if (known !== undefined) return known
    const bootstrap = await this.#shims.find(ns, id)
    return bootstrap && this.#link(ns, id, bootstrap)
  }

  #link(ns: string, id: string, bootstrap: Bootstrap): ShimLink {
    const link = linkShim(bootstrap, ns, `the shim of sandbox ${id}`)
    this.#links.set(keyOf(ns, id), link)
    return link
  }
}

function keyOf(ns: string, id: string): string {
  return `${ns}/${id}`
}

function explained(error: unknown, id: string, runtime: string): unknown {
  if (!isGantryError(error, 'NOT_IMPLEMENTED')) return error
  const reason = 'its shim does not serve containerd.runtime.sandbox.v1.Sandbox'
  return notImplemented(`sandbox "${id}": runtime "${runtime}" runs no sandboxes (${reason})`, { cause: error })
}

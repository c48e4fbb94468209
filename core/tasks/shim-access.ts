/** How tasks come to their shim, and keep it: started, taken from the waiting ones, or a sandbox's; connected again. */
import { messageOf } from '#api/errors/errors.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'
import type { Logger } from '#api/log/log.ts'
import { step } from '#api/trace/spans.ts'
import { type Bootstrap, type Bundle, markSandboxed, writeBootstrap } from './bundle.ts'
import { connectShim, type ShimConnection } from './shim-connection.ts'
import { canBePooled, type ShimPool } from './shim-pool.ts'
import { type ShimSurroundings, startShim } from './shim-process.ts'
import type { TaskTable } from './task-table.ts'
import type { Teardown } from './teardown.ts'
import type { UndoSteps } from './undo-steps.ts'

export interface ShimAccessParts {
  readonly pool: ShimPool
  readonly table: TaskTable
  readonly teardown: Teardown
  readonly surroundings: ShimSurroundings
  /** The running shim that the tasks of a sandbox belong into; undefined: each has its own. */
  shimOfSandbox(ns: string, sandboxId: string): Promise<Bootstrap | undefined>
  /** Nothing is looked after any more. */
  readonly stopped: AbortSignal
  readonly logger: Logger
}

/** What a task's own shim is started with. */
export interface ShimWish {
  readonly shimPath: string
  readonly options: Any | undefined
  readonly configJson: Uint8Array
}

/** A connection that broke is tried again for so long before the shim counts as dead. */
const reconnectTimeoutMs = 5000

export class ShimAccess {
  readonly #parts: ShimAccessParts

  constructor(parts: ShimAccessParts) {
    this.#parts = parts
  }

  /** A shim for one task. It is recorded as soon as it is known: a restart of this daemon finds it by that. */
  async own(bundle: Bundle, wish: ShimWish, undo: UndoSteps): Promise<ShimConnection> {
    let connection: ShimConnection | undefined
    undo.defer(() => this.#parts.teardown.destroyShim(bundle, wish.shimPath, connection))
    const bootstrap =
      (await this.#waiting(bundle, wish)) ??
      (await step('start a shim', () => startShim(wish.shimPath, bundle, wish.options, this.#parts.surroundings)))
    connection = this.connect(bundle, bootstrap)
    await step('record the shim', () => writeBootstrap(bundle, bootstrap))
    return connection
  }

  /** The shim of the sandbox serves its tasks too; where it does not, the task gets one of its own. */
  async ofSandbox(bundle: Bundle, sandboxId: string, wish: ShimWish, undo: UndoSteps): Promise<ShimConnection> {
    const bootstrap = await this.#parts.shimOfSandbox(bundle.namespace, sandboxId)
    if (!bootstrap) return this.own(bundle, wish, undo)
    await markSandboxed(bundle, sandboxId)
    const connection = this.connect(bundle, bootstrap)
    undo.defer(() => this.#parts.teardown.leaveSandbox(bundle.id, connection))
    await writeBootstrap(bundle, bootstrap)
    return connection
  }

  /** A connection that ends later has its shim looked after. */
  connect(bundle: Bundle, bootstrap: Bootstrap): ShimConnection {
    const { namespace, id } = bundle
    return connectShim(bootstrap, {
      namespace,
      peer: `the shim of ${id}`,
      onClosed: () => {
        this.lookAfter(namespace, id).catch(error =>
          this.#parts.logger.error(
            { ns: namespace, id, err: error },
            'a task whose shim is gone could not be taken away',
          ),
        )
      },
    })
  }

  /** A connection ended: is the shim there still? A task whose shim is dead is buried. */
  async lookAfter(ns: string, id: string): Promise<void> {
    const { table, teardown, stopped, logger } = this.#parts
    const task = table.find(ns, id)
    if (!task || task.stage === 'closing' || stopped.aborted) return
    const connection = this.connect(task.bundle, task.connection.bootstrap)
    try {
      await connection.api.connect({ id }, { deadlineMs: reconnectTimeoutMs })
      task.connection = connection
    } catch (error) {
      connection[Symbol.dispose]()
      logger.debug({ ns, id }, `shim does not answer: ${messageOf(error)}`)
      await teardown.bury(task)
    }
  }

  /** Undefined: start one. */
  async #waiting(bundle: Bundle, { shimPath, options, configJson }: ShimWish): Promise<Bootstrap | undefined> {
    if (!canBePooled(shimPath, options, configJson)) return undefined
    try {
      return await step('take a waiting shim', () => this.#parts.pool.take(shimPath, bundle))
    } catch (error) {
      this.#parts.logger.warn({ ns: bundle.namespace, id: bundle.id, err: error }, 'a shim is started instead')
      return undefined
    }
  }
}

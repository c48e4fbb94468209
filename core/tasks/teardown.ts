/** The ends of a task: wished for, or because its shim died. */
import { rm } from 'node:fs/promises'
import { TaskDelete, TaskExit } from '#api/gen/containerd/events/task.ts'
import type { Logger } from '#api/log/log.ts'
import { removeNetns } from '#api/sys/sys.ts'
import { step } from '#api/trace/spans.ts'
import { type EventExchange, eventAny } from '#core/events/events.ts'
import type { PlacesOf } from '#core/launch/launch.ts'
import { now } from '#core/metadata/metadata.ts'
import type { Networks } from '#core/networks/networks.ts'
import { type Bundle, hideBundle, readBootstrap, removeBundle } from './bundle.ts'
import type { Cleanups } from './cleanups.ts'
import { removeIfDead } from './dead-sockets.ts'
import type { RunningTask } from './running-task.ts'
import { connectShim, type ShimConnection } from './shim-connection.ts'
import { runShimDelete, type ShimSurroundings } from './shim-process.ts'
import type { TaskTable } from './task-table.ts'
import type { Exit } from './tasks.ts'

export interface TeardownParts {
  table: TaskTable
  cleanups: Cleanups
  networks: Networks
  placesOf: PlacesOf
  exchange: EventExchange
  surroundings: ShimSurroundings
  logger: Logger
}

const shutdownTimeoutMs = 3000
/** Status of a process whose end nobody saw (containerd's). */
const unknownStatus = 255

export class Teardown {
  readonly #parts: TeardownParts

  constructor(parts: TeardownParts) {
    this.#parts = parts
  }

  /**
   * Forgets a task whose shim has deleted it, or is dead. When it answers, the id, the addresses and the ports are free.
   * The hidden bundle and the pin of the network namespace are what a later start finds the rest of the work by.
   */
  async release(task: RunningTask): Promise<void> {
    const { namespace: ns, id } = task
    const hidden = await step('hide the bundle', () => hideBundle(task.bundle))
    if (task.launched) await step('leave the networks', () => this.#leaveNetworks(ns, id))
    this.#parts.table.release(ns, id)
    const places = this.#parts.placesOf(ns, id)
    this.#parts.cleanups.run(ns, id, [
      () => (task.sandboxed ? task.connection[Symbol.dispose]() : shutDown(task.connection, id)),
      () => task.log[Symbol.dispose](),
      ...(task.launched
        ? [
            () => step('remove the network namespace', () => removeNetns(places.netns)),
            () => rm(places.attachSocket(''), { force: true }),
          ]
        : []),
      () => hidden && step('remove the bundle', () => removeBundle(hidden, task.bundle.workPath)),
    ])
  }

  /** A plugin that cannot be reached must not keep the task: the attachment is recorded as leaving, and finished later. */
  async #leaveNetworks(ns: string, id: string): Promise<void> {
    try {
      await this.#parts.networks.detach(ns, id)
    } catch (error) {
      this.#parts.logger.warn({ ns, id, err: error }, 'networks of a task are left for the next reconciliation')
    }
  }

  /**
   * Ends a task whose shim died: what is left of the container is killed and removed, its exit and deletion are published in the
   * shim's name. Does nothing when the task's end has begun already.
   */
  async bury(task: RunningTask): Promise<void> {
    if (task.stage === 'closing') return
    task.stage = 'closing'
    const { namespace: ns, id } = task
    this.#parts.logger.warn({ ns, id, pid: task.pid }, 'the shim of a task is gone: taking the task away')
    // Also of one that had ended: its cgroups, and what its runtime knows of it, are there still.
    const dead = await this.#exitOfDead(task)
    const exit = task.exit ?? dead
    await this.release(task)
    if (!task.exit) this.#publish(task, '/tasks/exit', 'containerd.events.TaskExit', TaskExit, { ...exit, id })
    this.#publish(task, '/tasks/delete', 'containerd.events.TaskDelete', TaskDelete, exit)
    task.markLost(exit)
  }

  async #exitOfDead(task: RunningTask): Promise<Exit> {
    const answer = await this.deleteLeftovers(task.bundle, task.shimPath)
    return {
      pid: answer?.pid || task.pid,
      exitStatus: answer?.exitStatus ?? unknownStatus,
      exitedAt: answer?.exitedAt ?? now(),
    }
  }

  #publish<T>(
    task: RunningTask,
    topic: string,
    typeName: string,
    codec: {
      encode(message: T): { finish(): Uint8Array }
      decode(bytes: Uint8Array): T
      fromPartial(value: object): T
    },
    fields: object,
  ): void {
    const message = codec.fromPartial({ containerId: task.id, ...fields })
    this.#parts.exchange.publish(task.namespace, topic, eventAny(typeName, codec, message))
  }

  /** The runtime's own `delete`, and the socket of a killed shim, which not every runtime removes; undefined, with a log line, when that failed. */
  async deleteLeftovers(bundle: Bundle, shimPath: string): Promise<Exit | undefined> {
    try {
      const { pid, exitStatus, exitedAt } = await runShimDelete(shimPath, bundle, this.#parts.surroundings)
      const bootstrap = await readBootstrap(bundle)
      if (bootstrap) await removeIfDead(bootstrap.address)
      return { pid, exitStatus, exitedAt: exitedAt ?? now() }
    } catch (error) {
      this.#parts.logger.error({ ns: bundle.namespace, id: bundle.id, err: error }, 'delete of a dead shim failed')
      return undefined
    }
  }

  /** Undoes what came of a task in a sandbox's shim, which goes on. */
  async leaveSandbox(id: string, connection: ShimConnection): Promise<void> {
    const deadlineMs = shutdownTimeoutMs
    await connection.api.kill({ id, signal: 9, all: true }, { deadlineMs }).catch(() => {})
    await connection.api.delete({ id }, { deadlineMs }).catch(() => {})
    connection[Symbol.dispose]()
  }

  /** Undoes a `start`, whatever came of it: no shim and no process of the bundle is left. */
  async destroyShim(bundle: Bundle, shimPath: string, connection: ShimConnection | undefined): Promise<void> {
    const way = connection ?? (await this.#wayTo(bundle))
    if (way) {
      // A shim that others use as well stays: nothing of this task may stay in it.
      await way.api.delete({ id: bundle.id }, { deadlineMs: shutdownTimeoutMs }).catch(() => {})
      await shutDown(way, bundle.id, true)
    }
    await this.deleteLeftovers(bundle, shimPath)
  }

  /** A shim whose `start` failed late, or was not heard out, may have left its address in the bundle all the same. */
  async #wayTo(bundle: Bundle): Promise<ShimConnection | undefined> {
    const bootstrap = await readBootstrap(bundle)
    const { namespace, id } = bundle
    return bootstrap && connectShim(bootstrap, { namespace, peer: `the shim of ${id}`, onClosed: () => {} })
  }
}

/** Asks the shim to end; it may close the connection instead of answering. */
async function shutDown(connection: ShimConnection, id: string, isForced = false): Promise<void> {
  await connection.api.shutdown({ id, now: isForced }, { deadlineMs: shutdownTimeoutMs }).catch(() => {})
  connection[Symbol.dispose]()
}

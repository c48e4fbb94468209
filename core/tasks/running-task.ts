import type { Status } from '#api/gen/containerd/types/task/task.ts'
import type { Scope } from '#api/trace/spans.ts'
import { type Bundle, isSandboxed } from './bundle.ts'
import type { ShimApi, ShimConnection } from './shim-connection.ts'
import type { ExecWish, Exit, Task } from './tasks.ts'

export interface RunningTaskParts {
  bundle: Bundle
  shimPath: string
  connection: ShimConnection
  log: Disposable
  pid: number
  status: Status
  /** The core made its root, networks and files. */
  launched: boolean
  prepareExec: (wish: ExecWish) => Promise<ExecWish>
  scope?: Scope | undefined
}

/** One created task: the bundle, and the way to its shim. */
export class RunningTask implements Task {
  readonly namespace: string
  readonly id: string
  readonly bundle: Bundle
  readonly shimPath: string
  readonly pid: number
  readonly launched: boolean
  /** Its shim is a sandbox's, and serves others. */
  readonly sandboxed: boolean
  readonly log: Disposable
  /** The request that made it, when that is traced: its end belongs there too. */
  readonly scope: Scope | undefined
  readonly prepareExec: (wish: ExecWish) => Promise<ExecWish>
  readonly lost: Promise<Exit>
  readonly markLost: (exit: Exit) => void
  connection: ShimConnection
  /** As its shim last said, on being told to change it or by an event; {@link TaskTable.mark} keeps it. */
  status: Status
  /** How its first process ended, as soon as somebody was told. */
  end: Exit | undefined
  /** Known once its exit event came by. */
  exit: Exit | undefined
  /** `closing`: its end has begun, by {@link TaskManager.delete} or because its shim died. */
  stage: 'running' | 'closing' = 'running'
  /** Under way: whoever asks meanwhile gets its outcome. */
  deletion: Promise<Exit> | undefined

  constructor(parts: RunningTaskParts) {
    this.namespace = parts.bundle.namespace
    this.id = parts.bundle.id
    this.bundle = parts.bundle
    this.shimPath = parts.shimPath
    this.pid = parts.pid
    this.status = parts.status
    this.scope = parts.scope
    this.launched = parts.launched
    this.sandboxed = isSandboxed(parts.bundle)
    this.log = parts.log
    this.prepareExec = parts.prepareExec
    this.connection = parts.connection
    const { promise, resolve } = Promise.withResolvers<Exit>()
    this.lost = promise
    this.markLost = resolve
  }

  get shim(): ShimApi {
    return this.connection.api
  }
}

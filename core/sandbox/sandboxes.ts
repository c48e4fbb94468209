/**
 * Sandboxes: what a group of containers shares.
 *
 * The *store* keeps records, and nothing else: a client (a CRI implementation) writes one, then asks a *controller* to
 * make what it describes. A record is never collected; what its labels name (`containerd.io/gc.ref.*`) is kept with it.
 *
 * The one controller here is `shim`: it starts the shim of the record's runtime for the sandbox and speaks
 * `containerd.runtime.sandbox.v1.Sandbox` to it, over ttrpc or gRPC as the shim says. It has no idea of pods; what a sandbox
 * is made of is the shim's affair (ours: a container, when the record's spec describes a process). A shim that does not serve
 * that service runs no sandboxes, and `create` answers UNIMPLEMENTED. The tasks of containers whose records name the sandbox
 * run in its shim, from version 3 of the shim protocol on.
 *
 * ```
 * create → start → (containers come and go) → stop → wait → shutdown
 * ```
 * A sandbox outlives the daemon: its bundle (`<state>/sb/…`) says how to reach its shim again.
 */
import type { Any } from '#api/gen/google/protobuf/any.ts'
import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'

export interface SandboxSpec {
  readonly id: string
  readonly runtime: { readonly name: string; readonly options?: Any | undefined }
  readonly spec?: Any | undefined
  readonly labels?: Readonly<Record<string, string>>
  readonly extensions?: Readonly<Record<string, Any>>
  /** Controller that runs it. */
  readonly sandboxer?: string
}

export interface Sandbox extends SandboxSpec {
  readonly labels: Readonly<Record<string, string>>
  readonly extensions: Readonly<Record<string, Any>>
  readonly sandboxer: string
  readonly createdAt: Timestamp
  readonly updatedAt: Timestamp
}

export interface Sandboxes {
  /** NOT_FOUND. */
  get(ns: string, id: string): Promise<Sandbox>

  /** All that match one of `filters` (`id`, `labels`), by id. */
  list(ns: string, filters?: readonly string[]): Promise<Sandbox[]>

  /** ALREADY_EXISTS; INVALID_ARGUMENT for the id or a label. */
  create(ns: string, sandbox: SandboxSpec): Promise<Sandbox>

  /**
   * Changes `labels`, `extensions` (or one key of them), `spec`, `runtime`; no field means all, and then the runtime's
   * name must stay. NOT_FOUND; INVALID_ARGUMENT for another field.
   */
  update(ns: string, sandbox: SandboxSpec, fields?: readonly string[]): Promise<Sandbox>

  /** Removes the record; what runs goes on. NOT_FOUND. */
  delete(ns: string, id: string): Promise<void>
}

export { sandboxControllerService } from './controller-service.ts'
export { SandboxStore } from './sandbox-store.ts'
export { ShimController, type ShimControllerParts } from './shim-controller.ts'
export { shimForTasks } from './shim-for-tasks.ts'
export { sandboxStoreService } from './store-service.ts'

/** The way to one shim: Task v2 or v3 over ttrpc, or over gRPC. Callers see one interface. */
import { TaskDefinition as TaskV2Definition } from '#api/gen/containerd/task/v2/task.ts'
import { TaskDefinition as TaskV3Definition } from '#api/gen/containerd/task/v3/task.ts'
import { type Client, connect, createClient } from '#api/rpc/client.ts'
import { connectTtrpc, createTtrpcClient } from '#api/rpc/ttrpc.ts'
import { currentScope } from '#api/trace/spans.ts'
import type { Bootstrap } from './bundle.ts'

/** A shim's Task service. Versions 2 and 3 differ in their package's name only. */
export type ShimApi = Client<typeof TaskV3Definition>

export interface ShimConnection extends Disposable {
  readonly api: ShimApi
  readonly bootstrap: Bootstrap
}

export interface ConnectionOptions {
  namespace: string
  /** For error messages. */
  peer: string
  /** Called when an open connection ended, for whatever reason but disposal. */
  onClosed: () => void
}

/** Connects with the first call. */
export function connectShim(bootstrap: Bootstrap, options: ConnectionOptions): ShimConnection {
  return bootstrap.protocol === 'grpc' ? toOurs(bootstrap, options) : overTtrpc(bootstrap, options)
}

/**
 * Ours, which alone answers `grpc`, speaks both on its socket. ttrpc costs a third of the CPU, and the memory of an HTTP/2
 * connection for each container; but its answers have no room for spans, so traced calls go over gRPC.
 */
function toOurs(bootstrap: Bootstrap, options: ConnectionOptions): ShimConnection {
  const plain = overTtrpc({ ...bootstrap, version: 3 }, options)
  let traced: ShimConnection | undefined
  return {
    get api() {
      if (currentScope() === undefined) return plain.api
      // That it is gone is told by the plain connection.
      traced ??= overGrpc(bootstrap, { ...options, onClosed: () => {} })
      return traced.api
    },
    bootstrap,
    [Symbol.dispose]: () => {
      plain[Symbol.dispose]()
      traced?.[Symbol.dispose]()
    },
  }
}

function overGrpc(bootstrap: Bootstrap, { namespace, peer, onClosed }: ConnectionOptions): ShimConnection {
  const channel = connect(bootstrap.address, { namespace, peer })
  let disposed = false
  channel.session().once('close', () => {
    if (!disposed) onClosed()
  })
  return {
    api: createClient(TaskV3Definition, channel),
    bootstrap,
    [Symbol.dispose]: () => {
      disposed = true
      channel.close()
    },
  }
}

function overTtrpc(bootstrap: Bootstrap, { namespace, peer, onClosed }: ConnectionOptions): ShimConnection {
  let disposed = false
  const onClose = () => {
    if (!disposed) onClosed()
  }
  const channel = connectTtrpc(bootstrap.address, { namespace, peer, onClose })
  const definition = (bootstrap.version === 2 ? TaskV2Definition : TaskV3Definition) as typeof TaskV3Definition
  return {
    api: createTtrpcClient(definition, channel),
    bootstrap,
    [Symbol.dispose]: () => {
      disposed = true
      channel.close()
    },
  }
}

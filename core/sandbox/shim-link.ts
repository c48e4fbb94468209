/** The way to a sandbox's shim: `containerd.runtime.sandbox.v1.Sandbox`, over what the shim speaks. */
import { SandboxDefinition } from '#api/gen/containerd/runtime/sandbox/v1/sandbox.ts'
import { type Client, connect, createClient } from '#api/rpc/client.ts'
import { connectTtrpc, createTtrpcClient } from '#api/rpc/ttrpc.ts'
import type { Bootstrap } from '#core/tasks/tasks.ts'

export type SandboxApi = Client<typeof SandboxDefinition>

export interface ShimLink extends Disposable {
  readonly api: SandboxApi
  readonly bootstrap: Bootstrap
}

/** Connects with the first call. */
export function linkShim(bootstrap: Bootstrap, namespace: string, peer: string): ShimLink {
  if (bootstrap.protocol === 'grpc') {
    const channel = connect(bootstrap.address, { namespace, peer })
    return { api: createClient(SandboxDefinition, channel), bootstrap, [Symbol.dispose]: () => channel.close() }
  }
  const channel = connectTtrpc(bootstrap.address, { namespace, peer })
  return { api: createTtrpcClient(SandboxDefinition, channel), bootstrap, [Symbol.dispose]: () => channel.close() }
}

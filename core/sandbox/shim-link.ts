/** The way to a sandbox's shim: `containerd.runtime.sandbox.v1.Sandbox`, over what the shim speaks. */
import { SandboxDefinition } from '#api/gen/containerd/runtime/sandbox/v1/sandbox.ts'
import { TaskDefinition as TaskV2Definition } from '#api/gen/containerd/task/v2/task.ts'
import { TaskDefinition as TaskV3Definition } from '#api/gen/containerd/task/v3/task.ts'
import { type Client, connect, createClient } from '#api/rpc/client.ts'
import { connectTtrpc, createTtrpcClient } from '#api/rpc/ttrpc.ts'
import type { Bootstrap } from '#core/tasks/tasks.ts'

export type SandboxApi = Client<typeof SandboxDefinition>

export interface ShimLink extends Disposable {
  readonly api: SandboxApi
  readonly bootstrap: Bootstrap
  /** Ends a shim that runs no sandbox, by the verb of its tasks: `delete` alone leaves a living one be. */
  end(id: string): Promise<void>
}

/** Connects with the first call. */
export function linkShim(bootstrap: Bootstrap, namespace: string, peer: string): ShimLink {
  const task = bootstrap.version === 2 ? TaskV2Definition : TaskV3Definition
  if (bootstrap.protocol === 'grpc') {
    const channel = connect(bootstrap.address, { namespace, peer })
    const tasks = createClient(task, channel)
    const link = { api: createClient(SandboxDefinition, channel), bootstrap, end: ending(tasks) }
    return { ...link, [Symbol.dispose]: () => channel.close() }
  }
  const channel = connectTtrpc(bootstrap.address, { namespace, peer })
  const tasks = createTtrpcClient(task, channel)
  const link = { api: createTtrpcClient(SandboxDefinition, channel), bootstrap, end: ending(tasks) }
  return { ...link, [Symbol.dispose]: () => channel.close() }
}

type Tasks = Pick<Client<typeof TaskV3Definition>, 'shutdown'>

function ending(tasks: Tasks) {
  return async (id: string) => {
    // It may end before it has answered, or not speak of tasks at all.
    await tasks.shutdown({ id, now: true }, { deadlineMs: 3000 }).catch(() => {})
  }
}

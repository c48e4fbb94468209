/** The core's public services that a build uses, in one tenant namespace. */
import { ContainersDefinition } from '#api/gen/containerd/services/containers/v1/containers.ts'
import { ContentDefinition } from '#api/gen/containerd/services/content/v1/content.ts'
import { DiffDefinition } from '#api/gen/containerd/services/diff/v1/diff.ts'
import { ImagesDefinition } from '#api/gen/containerd/services/images/v1/images.ts'
import { LeasesDefinition } from '#api/gen/containerd/services/leases/v1/leases.ts'
import { SnapshotsDefinition } from '#api/gen/containerd/services/snapshots/v1/snapshots.ts'
import { StreamingDefinition } from '#api/gen/containerd/services/streaming/v1/streaming.ts'
import { TasksDefinition } from '#api/gen/containerd/services/tasks/v1/tasks.ts'
import { TransferDefinition } from '#api/gen/containerd/services/transfer/v1/transfer.ts'
import { ContainersServiceDefinition } from '#api/gen/gantry/services/containers/v1/containers.ts'
import { connect, createClient } from '#api/rpc/client.ts'

export type Core = ReturnType<typeof connectCore>

/** Lazy: nothing is opened before the first call. */
export function connectCore(address: string, namespace: string) {
  const channel = connect(address, { namespace, peer: 'gantryd' })
  return {
    records: createClient(ContainersDefinition, channel),
    containers: createClient(ContainersServiceDefinition, channel),
    content: createClient(ContentDefinition, channel),
    diffs: createClient(DiffDefinition, channel),
    images: createClient(ImagesDefinition, channel),
    leases: createClient(LeasesDefinition, channel),
    snapshots: createClient(SnapshotsDefinition, channel),
    streaming: createClient(StreamingDefinition, channel),
    tasks: createClient(TasksDefinition, channel),
    transfer: createClient(TransferDefinition, channel),
    close: () => channel.close(),
  }
}

const leaseHours = 24

/** Holds what is made under its id until it is disposed of, or for a day when we die. */
export async function holdLease({ leases }: Core): Promise<AsyncDisposable & { readonly id: string }> {
  const id = `build-${crypto.randomUUID()}`
  const expires = new Date(Date.now() + leaseHours * 3600_000).toISOString()
  await leases.create({ id, labels: { 'containerd.io/gc.expire': expires } })
  return {
    id,
    async [Symbol.asyncDispose]() {
      await leases.delete({ id }).catch(() => {})
    },
  }
}

/** The core's public services, in the tenant namespace of everything that Docker clients make. */
import { ContainersDefinition } from '#api/gen/containerd/services/containers/v1/containers.ts'
import { ContentDefinition } from '#api/gen/containerd/services/content/v1/content.ts'
import { DiffDefinition } from '#api/gen/containerd/services/diff/v1/diff.ts'
import { EventsDefinition } from '#api/gen/containerd/services/events/v1/events.ts'
import { ImagesDefinition } from '#api/gen/containerd/services/images/v1/images.ts'
import { IntrospectionDefinition } from '#api/gen/containerd/services/introspection/v1/introspection.ts'
import { LeasesDefinition } from '#api/gen/containerd/services/leases/v1/leases.ts'
import { NamespacesDefinition } from '#api/gen/containerd/services/namespaces/v1/namespaces.ts'
import { SnapshotsDefinition } from '#api/gen/containerd/services/snapshots/v1/snapshots.ts'
import { StreamingDefinition } from '#api/gen/containerd/services/streaming/v1/streaming.ts'
import { TasksDefinition } from '#api/gen/containerd/services/tasks/v1/tasks.ts'
import { TransferDefinition } from '#api/gen/containerd/services/transfer/v1/transfer.ts'
import { VersionDefinition } from '#api/gen/containerd/services/version/v1/version.ts'
import { ContainersServiceDefinition } from '#api/gen/gantry/services/containers/v1/containers.ts'
import { NetworksServiceDefinition } from '#api/gen/gantry/services/networks/v1/networks.ts'
import { PluginsServiceDefinition } from '#api/gen/gantry/services/plugins/v1/plugins.ts'
import { type Channel, connect, createClient } from '#api/rpc/client.ts'

/** containerd's name for Docker's tenant namespace: `ctr -n moby containers ls` shows the same containers. */
export const dockerNamespace = 'moby'

export type Core = ReturnType<typeof connectCore>

/** Lazy: nothing is opened before the first call; a core that was restarted is found again by the next one. */
export function connectCore(address: string) {
  const channel: Channel = connect(address, { namespace: dockerNamespace, peer: 'gantryd' })
  return {
    channel,
    /** Records, as containerd's clients see them. */
    records: createClient(ContainersDefinition, channel),
    /** Containers made from an image and wishes. */
    containers: createClient(ContainersServiceDefinition, channel),
    tasks: createClient(TasksDefinition, channel),
    images: createClient(ImagesDefinition, channel),
    content: createClient(ContentDefinition, channel),
    snapshots: createClient(SnapshotsDefinition, channel),
    diffs: createClient(DiffDefinition, channel),
    leases: createClient(LeasesDefinition, channel),
    events: createClient(EventsDefinition, channel),
    namespaces: createClient(NamespacesDefinition, channel),
    introspection: createClient(IntrospectionDefinition, channel),
    transfer: createClient(TransferDefinition, channel),
    streaming: createClient(StreamingDefinition, channel),
    version: createClient(VersionDefinition, channel),
    networks: createClient(NetworksServiceDefinition, channel),
    plugins: createClient(PluginsServiceDefinition, channel),
    close: () => channel.close(),
  }
}

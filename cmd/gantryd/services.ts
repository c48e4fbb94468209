/** What gantryd serves: each service is the face of one part. */
import { ContainersDefinition } from '#api/gen/containerd/services/containers/v1/containers.ts'
import { ContentDefinition } from '#api/gen/containerd/services/content/v1/content.ts'
import { DiffDefinition } from '#api/gen/containerd/services/diff/v1/diff.ts'
import { EventsDefinition } from '#api/gen/containerd/services/events/v1/events.ts'
import { ImagesDefinition } from '#api/gen/containerd/services/images/v1/images.ts'
import { IntrospectionDefinition } from '#api/gen/containerd/services/introspection/v1/introspection.ts'
import { LeasesDefinition } from '#api/gen/containerd/services/leases/v1/leases.ts'
import { MountsDefinition } from '#api/gen/containerd/services/mounts/v1/mounts.ts'
import { NamespacesDefinition } from '#api/gen/containerd/services/namespaces/v1/namespaces.ts'
import { ControllerDefinition, StoreDefinition } from '#api/gen/containerd/services/sandbox/v1/sandbox.ts'
import { SnapshotsDefinition } from '#api/gen/containerd/services/snapshots/v1/snapshots.ts'
import { StreamingDefinition } from '#api/gen/containerd/services/streaming/v1/streaming.ts'
import { TasksDefinition } from '#api/gen/containerd/services/tasks/v1/tasks.ts'
import { TransferDefinition } from '#api/gen/containerd/services/transfer/v1/transfer.ts'
import { VersionDefinition } from '#api/gen/containerd/services/version/v1/version.ts'
import { ContainersServiceDefinition } from '#api/gen/gantry/services/containers/v1/containers.ts'
import { DoctorServiceDefinition } from '#api/gen/gantry/services/doctor/v1/doctor.ts'
import { GcServiceDefinition } from '#api/gen/gantry/services/gc/v1/gc.ts'
import { LogsServiceDefinition } from '#api/gen/gantry/services/logs/v1/logs.ts'
import { NetworksServiceDefinition } from '#api/gen/gantry/services/networks/v1/networks.ts'
import { PluginsServiceDefinition } from '#api/gen/gantry/services/plugins/v1/plugins.ts'
import { TraceServiceDefinition } from '#api/gen/gantry/services/trace/v1/trace.ts'
import { HealthDefinition } from '#api/gen/grpc/health/v1/health.ts'
import { TraceServiceDefinition as CollectorDefinition } from '#api/gen/opentelemetry/proto/collector/trace/v1/trace_service.ts'
import type { ServiceDefinition } from '#api/rpc/definition.ts'
import type { RpcServer, ServiceImpl } from '#api/rpc/server.ts'
import { hostPlatform } from '#api/types/platform.ts'
import { containersService } from '#core/containers/containers.ts'
import { contentService, type LocalContentStore } from '#core/content/content.ts'
import { diffService } from '#core/diff/diff.ts'
import { doctorService } from '#core/doctor/doctor.ts'
import { eventsService } from '#core/events/events.ts'
import { gcService } from '#core/gc/gc.ts'
import { type Health, healthService } from '#core/health/health.ts'
import { imagesService } from '#core/images/images.ts'
import { builtInPlugins, introspectionService, type PluginDescription } from '#core/introspection/introspection.ts'
import { launchService } from '#core/launch/launch.ts'
import { leasesService } from '#core/leases/leases.ts'
import { logsService } from '#core/logs/logs.ts'
import { mountsService } from '#core/mounts/mounts.ts'
import { namespacesService } from '#core/namespaces/namespaces.ts'
import { networksService } from '#core/networks/networks.ts'
import type { Plugins } from '#core/plugins/plugins.ts'
import { pluginsService } from '#core/plugins/service.ts'
import { sandboxControllerService, sandboxStoreService } from '#core/sandbox/sandboxes.ts'
import { snapshotsService } from '#core/snapshots/snapshots.ts'
import { StreamRegistry, streamingService } from '#core/streaming/streaming.ts'
import { tasksService } from '#core/tasks/tasks.ts'
import { tracesCollector, tracesService } from '#core/traces/traces.ts'
import { transferService } from '#core/transfer/transfer.ts'
import { apiLevel, sourceRevision, versionService } from '#core/version/version.ts'
import { type Parts, tokens } from './compose.ts'

/** What both kinds of server offer. */
type Server = Pick<RpcServer, 'add'>

/** Adds every service to each server: gRPC for everybody, ttrpc for commands of ours (unary calls, quick to load). */
export function addServices(servers: readonly Server[], parts: Parts, health: Health): void {
  const names: string[] = []
  const serve = <D extends ServiceDefinition>(definition: D, implementation: ServiceImpl<D>) => {
    names.push(definition.fullName)
    for (const server of servers) server.add(definition, implementation)
  }
  const get = parts.resolve.bind(parts)
  const plugins = get(tokens.plugins)
  const streams = new StreamRegistry()
  serve(ContainersDefinition, containersService(get(tokens.containers)))
  serve(ContentDefinition, contentService(get(tokens.content)))
  serve(DiffDefinition, diffService(get(tokens.diffs)))
  serve(EventsDefinition, eventsService(get(tokens.exchange)))
  serve(ImagesDefinition, imagesService(get(tokens.images)))
  serve(
    IntrospectionDefinition,
    introspectionService({
      metadata: get(tokens.metadata),
      plugins: () => describe(plugins, get(tokens.content)),
      inquire: ({ type }, question) =>
        type === 'io.containerd.runtime.v2' ? get(tokens.tasks).describeRuntime(question) : undefined,
    }),
  )
  serve(LeasesDefinition, leasesService(get(tokens.leases)))
  serve(MountsDefinition, mountsService(get(tokens.mounts)))
  serve(NamespacesDefinition, namespacesService(get(tokens.namespaces)))
  const sandboxes = get(tokens.sandboxes)
  serve(StoreDefinition, sandboxStoreService(sandboxes))
  serve(
    ControllerDefinition,
    sandboxControllerService({ sandboxes, shim: get(tokens.sandboxShims), events: get(tokens.exchange) }),
  )
  serve(SnapshotsDefinition, snapshotsService(get(tokens.snapshots)))
  serve(StreamingDefinition, streamingService(streams))
  serve(TasksDefinition, tasksService(get(tokens.tasks), get(tokens.restarts)))
  serve(TransferDefinition, transferService(get(tokens.transfers), streams))
  serve(VersionDefinition, versionService({ version: apiLevel, revision: sourceRevision() }))
  serve(ContainersServiceDefinition, launchService(get(tokens.launcher)))
  serve(DoctorServiceDefinition, doctorService(get(tokens.doctor)))
  serve(
    GcServiceDefinition,
    gcService(get(tokens.collector), () => get(tokens.gc).collectNow()),
  )
  serve(
    NetworksServiceDefinition,
    networksService(get(tokens.networks), get(tokens.connections), get(tokens.networkGarbage)),
  )
  serve(LogsServiceDefinition, logsService(get(tokens.logs)))
  serve(PluginsServiceDefinition, pluginsService(plugins, get(tokens.pluginAdministration)))
  serve(TraceServiceDefinition, tracesService(get(tokens.traces)))
  serve(CollectorDefinition, tracesCollector(get(tokens.traces)))
  serve(HealthDefinition, healthService(health, names))
}

/** By containerd's kinds: nerdctl and BuildKit choose by these. */
function describe(plugins: Plugins, content: LocalContentStore): PluginDescription[] {
  const platforms = [hostPlatform()]
  const snapshotters = plugins.list().filter(row => row.kind === 'snapshotter')
  return [
    ...snapshotters.map(({ id, capabilities, exports, lastError }) => ({
      type: 'io.containerd.snapshotter.v1',
      id,
      platforms,
      capabilities,
      exports,
      ...(lastError !== '' && { failure: new Error(lastError) }),
    })),
    ...builtInPlugins({ contentRoot: content.root, sharingPolicy: content.sharing, platforms }),
    {
      type: 'io.containerd.internal.v1',
      id: 'restart',
      capabilities: ['no', 'always', 'on-failure', 'unless-stopped'],
    },
  ]
}

/** The core's storage services on a socket of their own, without plugin processes: what conformance tests drive. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ContainersDefinition } from '#api/gen/containerd/services/containers/v1/containers.ts'
import { ContentDefinition } from '#api/gen/containerd/services/content/v1/content.ts'
import { EventsDefinition } from '#api/gen/containerd/services/events/v1/events.ts'
import { ImagesDefinition } from '#api/gen/containerd/services/images/v1/images.ts'
import { IntrospectionDefinition } from '#api/gen/containerd/services/introspection/v1/introspection.ts'
import { LeasesDefinition } from '#api/gen/containerd/services/leases/v1/leases.ts'
import { NamespacesDefinition } from '#api/gen/containerd/services/namespaces/v1/namespaces.ts'
import { SnapshotsDefinition } from '#api/gen/containerd/services/snapshots/v1/snapshots.ts'
import { VersionDefinition } from '#api/gen/containerd/services/version/v1/version.ts'
import { GcServiceDefinition } from '#api/gen/gantry/services/gc/v1/gc.ts'
import { HealthDefinition } from '#api/gen/grpc/health/v1/health.ts'
import { createLogger } from '#api/log/log.ts'
import { type Channel, connect } from '#api/rpc/client.ts'
import { createRpcServer } from '#api/rpc/server.ts'
import { openStore } from '#api/store/store.ts'
import { ContainerStore, containersService } from '#core/containers/containers.ts'
import { contentService, LocalContentStore } from '#core/content/content.ts'
import { Exchange, eventsService } from '#core/events/events.ts'
import { GarbageCollector, GcScheduler, gcService } from '#core/gc/gc.ts'
import { DaemonHealth, healthService } from '#core/health/health.ts'
import { ImageStore, imagesService } from '#core/images/images.ts'
import { introspectionService } from '#core/introspection/introspection.ts'
import { LeaseStore, leasesService } from '#core/leases/leases.ts'
import { Metadata } from '#core/metadata/metadata.ts'
import { NamespaceStore, namespacesService } from '#core/namespaces/namespaces.ts'
import { type SnapshotterBackend, SnapshotterFronts, snapshotsService } from '#core/snapshots/snapshots.ts'
import { apiLevel, versionService } from '#core/version/version.ts'
import { DirectorySnapshotter } from './directory-snapshotter.ts'

export interface CoreServer extends AsyncDisposable {
  /** Its socket. */
  readonly address: string
  readonly channel: Channel
  readonly events: Exchange
  /** Removes from the snapshotter what no record knows. */
  sweep(): Promise<void>
}

export interface CoreOptions {
  /** Behind the snapshotter named `overlayfs`; without one it keeps plain directories. */
  backend?: SnapshotterBackend
  /** Kept when the server ends; without one it has a folder of its own. */
  root?: string
}

/** Wired as the daemon wires it. */
export async function startCore({ backend: given, root: kept }: CoreOptions = {}): Promise<CoreServer> {
  const root = kept ?? (await mkdtemp(join(tmpdir(), 'gantry-core-')))
  const logger = createLogger({ name: 'core', level: 'error' })
  const store = openStore(join(root, 'metadata'))
  const metadata = new Metadata(store)
  const events = new Exchange()
  const content = await LocalContentStore.open(join(root, 'content'), metadata, events)
  const backend = given ?? new DirectorySnapshotter(root)
  const snapshots = new SnapshotterFronts({ metadata, events, logger, backends: { overlayfs: async () => backend } })
  const gc = new GarbageCollector({ metadata, events, logger, content, snapshots })
  const scheduler = new GcScheduler({ metadata, logger, collect: () => gc.collect() })
  const collect = () => scheduler.collectNow()

  const server = createRpcServer({ logger })
  server.add(ContainersDefinition, containersService(new ContainerStore(metadata, events)))
  server.add(ContentDefinition, contentService(content))
  server.add(EventsDefinition, eventsService(events))
  server.add(ImagesDefinition, imagesService(new ImageStore(metadata, events, collect)))
  server.add(
    IntrospectionDefinition,
    introspectionService({ metadata, plugins: () => [{ type: 'io.containerd.snapshotter.v1', id: 'overlayfs' }] }),
  )
  server.add(LeasesDefinition, leasesService(new LeaseStore(metadata, collect)))
  server.add(NamespacesDefinition, namespacesService(new NamespaceStore(metadata, events)))
  server.add(SnapshotsDefinition, snapshotsService(snapshots))
  server.add(VersionDefinition, versionService({ version: apiLevel, revision: '' }))
  server.add(GcServiceDefinition, gcService(gc, collect))
  server.add(HealthDefinition, healthService(new DaemonHealth(), [ContainersDefinition.fullName]))
  const address = `unix:${join(root, 's')}`
  await server.listen(address)
  const channel = connect(address)
  return {
    address,
    channel,
    events,
    sweep: () => snapshots.sweep(),
    async [Symbol.asyncDispose]() {
      channel.close()
      await server.shutdown(1000)
      await scheduler.stop()
      await store.close()
      if (kept === undefined) await rm(root, { recursive: true })
    },
  }
}

/**
 * The composition root: which parts gantryd is made of, and who is given to whom. Reads as the architecture diagram.
 * Nothing is started here; lifetimes are daemon.ts' affair. The only file that knows tsyringe: each part has an explicit
 * token, and takes its dependencies as constructor arguments.
 */
import 'reflect-metadata'
import { join } from 'node:path'
import { type DependencyContainer, type InjectionToken, instanceCachingFactory, container as parent } from 'tsyringe'
import { isGantryError } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import type { Store } from '#api/store/store.ts'
import { foldersIn } from '#api/sys/folders.ts'
import { ContainerStore, type Containers } from '#core/containers/containers.ts'
import { LocalContentStore } from '#core/content/content.ts'
import { ChosenDiffs, type Diffs, LocalDiffs } from '#core/diff/diff.ts'
import { allChecks, Doctor } from '#core/doctor/doctor.ts'
import { type EventExchange, Exchange } from '#core/events/events.ts'
import { GarbageCollector, GcScheduler } from '#core/gc/gc.ts'
import { ImageStore, type Images } from '#core/images/images.ts'
import {
  ChangedContainers,
  ContainerNames,
  LastRuns,
  LaunchedContainerNetworks,
  LaunchedContainers,
  type Launcher,
  LauncherImpl,
  type PlacesOf,
  placesUnder,
} from '#core/launch/launch.ts'
import { LeaseStore, type Leases } from '#core/leases/leases.ts'
import { driverFollower, LogBook } from '#core/logs/logs.ts'
import { Metadata } from '#core/metadata/metadata.ts'
import { MountManager } from '#core/mounts/mounts.ts'
import { NamespaceStore, type Namespaces } from '#core/namespaces/namespaces.ts'
import { Connections, collectPins, createNetworks, type Networks } from '#core/networks/networks.ts'
import { PluginAdministration } from '#core/plugins/administration.ts'
import { differBackend, offeredDiffers } from '#core/plugins/differ-backend.ts'
import { layerProviders } from '#core/plugins/layer-providers.ts'
import { PluginDirectory } from '#core/plugins/plugin-directory.ts'
import { PluginRegistry } from '#core/plugins/registry.ts'
import { findRuntime } from '#core/plugins/runtimes.ts'
import { createSupervisor, type Supervisor } from '#core/plugins/supervisor.ts'
import { createRemotes, type Remotes } from '#core/remotes/remotes.ts'
import { RestartMonitor } from '#core/restart/restart.ts'
import { type Sandboxes, SandboxStore, ShimController, shimForTasks } from '#core/sandbox/sandboxes.ts'
import { SnapshotterFronts } from '#core/snapshots/snapshots.ts'
import type { HostFacts } from '#core/spec/spec.ts'
import { refreshEtcFiles, shimSocketFolder, type TaskManager, TaskManagerImpl } from '#core/tasks/tasks.ts'
import { SpanExporter, TraceRing, type Traces } from '#core/traces/traces.ts'
import { LocalTransfers } from '#core/transfer/transfer.ts'
import type { Config } from './config.ts'
import { executableFolder, isBuilt, pluginFolders, publishBinary, shimOverrides } from './installation.ts'
import type { Instance } from './instance.ts'
import { runningShims, useOf } from './plugin-use.ts'

/** What is there before the parts are. */
export interface Foundation {
  config: Config
  instance: Instance
  address: string
  /** Group that may use the API. */
  groupId: number | undefined
  store: Store
  host: HostFacts
  logger: Logger
}

/** All parts, by {@link tokens}. */
export type Parts = DependencyContainer

const token = <T>(name: string): InjectionToken<T> => Symbol(name) as InjectionToken<T>

export const tokens = {
  metadata: token<Metadata>('metadata'),
  exchange: token<EventExchange>('exchange'),
  content: token<LocalContentStore>('content'),
  images: token<Images>('images'),
  leases: token<Leases>('leases'),
  namespaces: token<Namespaces>('namespaces'),
  /** Records alone. */
  records: token<Containers>('container records'),
  /** Records, and what launched containers own beside them. */
  containers: token<Containers>('containers'),
  snapshots: token<SnapshotterFronts>('snapshots'),
  gc: token<GcScheduler>('gc'),
  collector: token<GarbageCollector>('collector'),
  doctor: token<Doctor>('doctor'),
  mounts: token<MountManager>('mounts'),
  sandboxes: token<Sandboxes>('sandboxes'),
  sandboxShims: token<ShimController>('sandbox shims'),
  plugins: token<Supervisor>('plugins'),
  pluginAdministration: token<PluginAdministration>('plugin administration'),
  networks: token<Networks>('networks'),
  connections: token<Connections>('connections of containers to networks'),
  networkGarbage: token<(dryRun: boolean) => Promise<string[]>>('what networks leave'),
  diffs: token<Diffs>('diffs'),
  remotes: token<Remotes>('remotes'),
  transfers: token<LocalTransfers>('transfers'),
  traces: token<Traces>('traces'),
  /** Where spans go beside our own memory; undefined: nowhere. */
  spanExporter: token<SpanExporter | undefined>('span exporter'),
  launcher: token<Launcher>('launcher'),
  tasks: token<TaskManager>('tasks'),
  restarts: token<RestartMonitor>('restarts'),
  placesOf: token<PlacesOf>('places of a container'),
  logs: token<LogBook>('logs'),
} as const

/** The parts, resolved by their tokens; each is made once, when first asked for. */
export async function compose(foundation: Foundation): Promise<Parts> {
  const { config, instance, address, groupId, store, host, logger } = foundation
  const parts = parent.createChildContainer()
  const log = (part: string) => logger.child({ part })
  const add = <T>(name: InjectionToken<T>, make: (get: DependencyContainer['resolve']) => T) =>
    parts.register(name, { useFactory: instanceCachingFactory(c => make(c.resolve.bind(c))) })
  const { root, state } = config
  const t = tokens

  const metadata = new Metadata(store)
  const exchange = new Exchange()
  const content = await LocalContentStore.open(join(root, 'content'), metadata, exchange, config.content.sharing_policy)
  const shims = {
    folders: [executableFolder],
    path: process.env.PATH ?? '',
    overrides: shimOverrides(),
    standIns: config.containers.runtimes,
    registered: (name: string, file: string | undefined) => findRuntime(parts.resolve(t.plugins), name, file),
  }
  const surroundings = {
    address,
    publishBinary,
    socketFolder: shimSocketFolder(state),
    debug: config.log_level === 'debug' || config.log_level === 'trace',
    environment: { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin' },
  }
  const mounts = await MountManager.open({ metadata, folder: join(state, 'm'), roots: [root], logger: log('mounts') })
  const collectNow = () => parts.resolve(t.gc).collectNow()
  const placesOf = placesUnder(root, state)
  const lastRuns = new LastRuns(metadata)
  const names = new ContainerNames(metadata)
  const changedContainers = new ChangedContainers(metadata)
  const changed = (ns: string, id: string) => changedContainers.touch(ns, id)

  add(t.metadata, () => metadata)
  add(t.exchange, () => exchange)
  add(t.content, () => content)
  add(t.placesOf, () => placesOf)
  add(t.images, () => new ImageStore(metadata, exchange, collectNow))
  add(t.leases, () => new LeaseStore(metadata, collectNow))
  add(t.namespaces, () => new NamespaceStore(metadata, exchange))
  add(t.records, () => new ContainerStore(metadata, exchange))
  add(t.plugins, () =>
    createSupervisor({
      root,
      state,
      instance: instance.id,
      cgroup: join(instance.name, 'plugins'),
      coreAddress: address,
      groupId,
      log: log('plugins'),
      logLevel: config.log_level,
      runningShims: serves => runningShims(serves, { metadata, tasks: parts.resolve(t.tasks) }),
    }),
  )
  add(
    t.pluginAdministration,
    get =>
      new PluginAdministration({
        supervisor: get(t.plugins),
        registry: new PluginRegistry(store),
        directory: new PluginDirectory(join(root, 'plugins')),
        ownDirectories: pluginFolders,
        directories: config.plugin_directories,
        binDirectory: isBuilt ? executableFolder : undefined,
        tables: config.plugins,
        root,
        inUse: name => useOf(name, { metadata, networks: get(t.networks), plugins: get(t.plugins) }),
        log: log('plugins'),
      }),
  )
  add(t.snapshots, get => {
    const supervisor = get(t.plugins)
    const backends = () =>
      Object.fromEntries(supervisor.ids('snapshotter').map(id => [id, async () => supervisor.snapshotter(id)] as const))
    return new SnapshotterFronts({ metadata, events: exchange, logger: log('snapshots'), backends })
  })
  add(
    t.collector,
    get =>
      new GarbageCollector({
        metadata,
        events: exchange,
        content,
        snapshots: get(t.snapshots),
        mounts,
        logger: log('gc'),
      }),
  )
  add(
    t.gc,
    get =>
      new GcScheduler({
        metadata,
        collect: () => get(t.collector).collect(),
        logger: log('gc'),
        pauseThreshold: config.gc.pause_threshold,
        deletionThreshold: config.gc.deletion_threshold,
        mutationThreshold: config.gc.mutation_threshold,
        scheduleDelayMs: config.gc.schedule_delay_ms,
        startupDelayMs: config.gc.startup_delay_ms,
      }),
  )
  add(t.networks, get =>
    createNetworks({ metadata, backends: id => get(t.plugins).network(id), logger: log('networks') }),
  )
  add(t.networkGarbage, get => async dryRun => {
    // One without a task may be about to get it, or its record, any moment.
    const isAlive = async ({ namespace, containerId }: { namespace: string; containerId: string }) =>
      get(t.tasks).has(namespace, containerId) ||
      (await get(t.records)
        .get(namespace, containerId)
        .then(
          () => true,
          error => !isGantryError(error, 'NOT_FOUND'),
        ))
    const networks = await get(t.networks).collect({ isAlive, dryRun })
    return [...networks, ...(await collectPins(join(state, 'netns'), { isAlive, dryRun }))]
  })
  add(t.connections, get => {
    const containers = get(t.records)
    const hasTask = (ns: string, id: string) => get(t.tasks).has(ns, id)
    const own = new LaunchedContainerNetworks({ containers, names, placesOf, hasTask })
    return new Connections({
      networks: get(t.networks),
      find: (ns, reference) => own.find(ns, reference),
      record: (ns, id, requests) => own.record(ns, id, requests),
      refreshFiles: (ns, id) => refreshEtcFiles({ containers, networks: get(t.networks), placesOf }, ns, id),
      logger: log('networks'),
    })
  })
  add(
    t.doctor,
    get =>
      new Doctor(
        allChecks({
          metadata,
          content,
          snapshots: get(t.snapshots),
          tasks: get(t.tasks),
          networks: get(t.networks),
          roots: { root, state },
          collect: collectNow,
        }),
      ),
  )
  add(t.mounts, () => mounts)
  add(t.sandboxes, () => new SandboxStore(metadata))
  add(
    t.sandboxShims,
    () =>
      new ShimController({
        roots: { root: join(root, 'sandboxes'), state: join(state, 'sb') },
        shims,
        surroundings,
        logger: log('sandbox'),
      }),
  )
  add(t.diffs, get => {
    const supervisor = get(t.plugins)
    return new ChosenDiffs({
      own: new LocalDiffs(content, join(state, 'tmp')),
      order: config.diff.order,
      offered: () => offeredDiffers(supervisor),
      differ: id => differBackend(supervisor, id),
    })
  })
  add(t.spanExporter, () =>
    config.tracing.endpoint === '' ? undefined : new SpanExporter(config.tracing.endpoint, log('traces')),
  )
  add(t.traces, get => {
    const exporter = get(t.spanExporter)
    return new TraceRing({
      service: { name: 'gantryd', pid: process.pid },
      ...(exporter && { onSpans: spans => exporter.send(spans) }),
    })
  })
  add(t.remotes, () => createRemotes({ hostDir: config.registry.host_directory }))
  add(
    t.transfers,
    get =>
      new LocalTransfers(
        {
          content,
          images: get(t.images),
          leases: get(t.leases),
          snapshots: get(t.snapshots),
          diffs: get(t.diffs),
          remotes: get(t.remotes),
          logger: log('transfer'),
        },
        {
          defaultSnapshotter: config.containers.snapshotter,
          mayProvideLayers: layerProviders(get(t.plugins)),
          maxDownloads: config.registry.max_downloads,
          maxUploads: config.registry.max_uploads,
          maxUnpacks: config.registry.max_unpacks,
        },
      ),
  )
  add(
    t.launcher,
    get =>
      new LauncherImpl({
        containers: get(t.records),
        content,
        images: get(t.images),
        namespaces: get(t.namespaces),
        networks: get(t.networks),
        snapshots: get(t.snapshots),
        unpacker: get(t.transfers),
        placesOf,
        lastRuns,
        names,
        taskOf: (ns, id) => get(t.tasks).describe(ns, id),
        knownTaskOf: (ns, id) => get(t.tasks).known(ns, id),
        changed: changedContainers,
        restartOf: (ns, id) => get(t.restarts).stateOf(ns, id),
        host: { ...host, cgroup: { name: instance.name, driver: config.containers.cgroup_driver } },
        settings: { snapshotter: config.containers.snapshotter, runtime: config.containers.runtime },
      }),
  )
  add(
    t.tasks,
    get =>
      new TaskManagerImpl({
        containers: get(t.records),
        deleteContainer: (ns, id) => get(t.containers).delete(ns, id),
        launcher: get(t.launcher),
        lastRuns,
        networks: get(t.networks),
        snapshots: get(t.snapshots),
        content,
        tempDir: join(state, 'tmp'),
        exchange,
        roots: { root, state },
        placesOf,
        shimOfSandbox: (ns, id) => shimForTasks({ sandboxes: get(t.sandboxes), shims: get(t.sandboxShims) }, ns, id),
        logger: log('tasks'),
        cgroupName: instance.name,
        shims,
        surroundings,
        changed,
      }),
  )
  add(t.logs, get => {
    const plugins = get(t.plugins)
    const kinds = ['log-sink', 'log-driver'] as const
    return new LogBook({
      metadata,
      containers: get(t.records),
      exchange,
      placesOf,
      hasTask: (ns, id) => get(t.tasks).has(ns, id),
      containerFolders: () => foldersIn(join(root, 'containers')),
      folder: join(root, 'departed-logs'),
      isInstalled: follower => kinds.some(kind => plugins.ids(kind).includes(follower)),
      wakeDrivers: () => plugins.channelFor('log-driver', driverFollower),
      logger: log('logs'),
    })
  })
  add(
    t.restarts,
    get =>
      new RestartMonitor({
        containers: get(t.records),
        tasks: get(t.tasks),
        lastRuns,
        namespaces: get(t.namespaces),
        snapshots: get(t.snapshots),
        metadata,
        exchange,
        logger: log('restarts'),
        changed,
        intervalMs: config.restart.interval_seconds * 1000,
      }),
  )
  add(
    t.containers,
    get =>
      new LaunchedContainers({
        records: get(t.records),
        snapshots: get(t.snapshots),
        logs: get(t.logs),
        lastRuns,
        names,
        hasTask: (ns, id) => get(t.tasks).has(ns, id),
      }),
  )
  return parts
}

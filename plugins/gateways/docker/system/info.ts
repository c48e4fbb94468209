/** `GET /info` and `GET /version`. */
import { createHash } from 'node:crypto'
import { builtInLogDrivers } from '#api/log-drivers/drivers.ts'
import { DockerPlugins } from '#sdk/docker-plugins/plugins.ts'
import type { Engine } from '../engine/engine.ts'
import type { DockerConfig } from '../engine/settings.ts'
import type { EventLog } from '../events/event-log.ts'
import { newestVersion, oldestVersion } from '../http/api-version.ts'
import type { Catalog } from '../images/catalog.ts'
import type { HostFacts } from './host-facts.ts'

export interface SystemRoom {
  readonly engine: Engine
  readonly catalog: Catalog
  readonly events: EventLog
  readonly host: HostFacts
  /** Names of the drivers of volumes that answer. */
  volumeDrivers(): Promise<string[]>
}

const defaultRuntime = 'io.containerd.gantry.v1'

async function logPlugins({ docker_plugin_folders: folders }: DockerConfig): Promise<string[]> {
  await using plugins = new DockerPlugins(folders)
  return (await plugins.all('LogDriver')).plugins.map(({ name }) => name)
}

export async function describeEngine({ engine, catalog, events, host, volumeDrivers }: SystemRoom): Promise<object> {
  const { settings, core } = engine
  const [containers, images, plugins, drivers] = await Promise.all([
    engine.containers.list(),
    catalog.all(),
    core.plugins.list({}),
    volumeDrivers(),
  ])
  const inState = (...states: string[]) => containers.filter(({ state }) => states.includes(state)).length
  const running = inState('running', 'restarting')
  const paused = inState('paused')
  const ids = (kind: string) => plugins.plugins.filter(plugin => plugin.kind === kind).map(({ id }) => id)
  const insecure = settings.config.insecure_registries
  return {
    ID: engineId(settings.instance),
    Containers: containers.length,
    ContainersRunning: running,
    ContainersPaused: paused,
    ContainersStopped: containers.length - running - paused,
    Images: images.length,
    Driver: ids('snapshotter').includes('overlayfs') ? 'overlayfs' : (ids('snapshotter')[0] ?? ''),
    DriverStatus: [['driver-type', 'io.containerd.snapshotter.v1']],
    Plugins: {
      Volume: drivers,
      Network: ids('network').map(id => (id === 'none' ? 'null' : id)),
      Authorization: null,
      Log: [...builtInLogDrivers.filter(name => name !== 'none'), ...(await logPlugins(settings.config))].sort(),
    },
    MemoryLimit: true,
    SwapLimit: true,
    CpuCfsPeriod: true,
    CpuCfsQuota: true,
    CPUShares: true,
    CPUSet: true,
    PidsLimit: true,
    IPv4Forwarding: true,
    Debug: false,
    NFd: 0,
    OomKillDisable: host.cgroupVersion === '1',
    NGoroutines: 0,
    SystemTime: new Date().toISOString(),
    LoggingDriver: 'json-file',
    CgroupDriver: 'cgroupfs',
    CgroupVersion: host.cgroupVersion,
    NEventsListener: events.listenerCount,
    KernelVersion: host.kernel,
    OperatingSystem: host.system,
    OSVersion: host.systemVersion,
    OSType: 'linux',
    Architecture: host.machine,
    IndexServerAddress: 'https://index.docker.io/v1/',
    RegistryConfig: registryConfig(insecure, settings.config.registry_mirrors['docker.io'] ?? []),
    NCPU: host.cpus,
    MemTotal: host.memoryBytes,
    GenericResources: null,
    DockerRootDir: settings.root,
    HttpProxy: process.env.HTTP_PROXY ?? '',
    HttpsProxy: process.env.HTTPS_PROXY ?? '',
    NoProxy: process.env.NO_PROXY ?? '',
    Name: host.name,
    Labels: [],
    ExperimentalBuild: false,
    ServerVersion: settings.version,
    Runtimes: { [defaultRuntime]: { path: 'containerd-shim-gantry-v1' } },
    DefaultRuntime: defaultRuntime,
    Swarm: {
      NodeID: '',
      NodeAddr: '',
      LocalNodeState: 'inactive',
      ControlAvailable: false,
      Error: '',
      RemoteManagers: null,
    },
    // Containers outlive the engine whether anybody asks for it or not.
    LiveRestoreEnabled: true,
    Isolation: '',
    InitBinary: 'docker-init',
    ContainerdCommit: { ID: '', Expected: '' },
    RuncCommit: { ID: '', Expected: '' },
    InitCommit: { ID: '', Expected: '' },
    SecurityOptions: ['name=seccomp,profile=builtin'],
    CDISpecDirs: [],
    Containerd: { Address: settings.coreAddress, Namespaces: { Containers: 'moby', Plugins: 'plugins.moby' } },
    Warnings: null,
  }
}

function registryConfig(insecure: readonly string[], mirrors: readonly string[]): object {
  const official = { Name: 'docker.io', Mirrors: mirrors, Secure: true, Official: true }
  const others = insecure.filter(host => !host.includes('/'))
  const configs = others.map(host => [host, { Name: host, Mirrors: [], Secure: false, Official: false }])
  return {
    AllowNondistributableArtifactsCIDRs: null,
    AllowNondistributableArtifactsHostnames: null,
    InsecureRegistryCIDRs: ['::1/128', '127.0.0.0/8', ...insecure.filter(host => host.includes('/'))],
    IndexConfigs: { 'docker.io': official, ...Object.fromEntries(configs) },
    Mirrors: mirrors,
  }
}

/** A name of the engine that stays, in the form of a UUID. */
function engineId(instance: string): string {
  const hex = createHash('sha256').update(`docker engine ${instance}`).digest('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-')
}

export async function describeVersion({ engine: { core, settings }, host }: SystemRoom): Promise<object> {
  const containerd = await core.version.version({})
  const details = {
    ApiVersion: settings.apiVersion,
    Arch: host.architecture,
    BuildTime: '',
    Experimental: 'false',
    GitCommit: '',
    GoVersion: '',
    KernelVersion: host.kernel,
    MinAPIVersion: oldestVersion,
    Os: 'linux',
  }
  return {
    Platform: { Name: 'Gantry' },
    Components: [
      { Name: 'Engine', Version: settings.version, Details: { ...details, NewestAPIVersion: newestVersion } },
      { Name: 'containerd', Version: containerd.version, Details: { GitCommit: containerd.revision } },
    ],
    Version: settings.version,
    ApiVersion: settings.apiVersion,
    MinAPIVersion: oldestVersion,
    GitCommit: '',
    GoVersion: '',
    Os: 'linux',
    Arch: host.architecture,
    KernelVersion: host.kernel,
    BuildTime: '',
  }
}

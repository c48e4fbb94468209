/** `docker inspect` of a container. */
import type { AttachmentRecord } from '#api/gen/gantry/services/networks/v1/networks.ts'
import { type ApiVersion, atLeast } from '../http/api-version.ts'
import type { LogDrops } from '../logs/log-drops.ts'
import { configJson, hostConfigJson } from './config-json.ts'
import { modeOf } from './create/networks.ts'
import { endpointJson, portMapJson } from './network-json.ts'
import { oomReportJson } from './oom-report.ts'
import type { Health, MountPoint } from './record.ts'
import type { Found } from './store.ts'
import { neverText, timeText } from './times.ts'

export interface InspectContext {
  version: ApiVersion
  health: Health | undefined
  execIds: readonly string[]
  /** Undefined: none. */
  logDrops?: LogDrops | undefined
  /** Bytes; undefined: not asked for. */
  sizes: { rw: number; rootFs: number } | undefined
  /** By name; those that it is on need none. */
  networkIds: ReadonlyMap<string, string>
  /** Of the containers that others call by name. */
  cgroupDriver?: string
}

export function inspectJson(found: Found, context: InspectContext): object {
  const { id, name, record, core } = found
  const { config, hostConfig } = record
  // Its files are made by its first start.
  const paths = wasStarted(found) ? core.paths : undefined
  const directory = paths?.logFile.replace(/\/[^/]*$/, '') ?? ''
  return {
    Id: id,
    Created: record.created,
    Path: record.path,
    Args: record.args,
    State: stateJson(found, context.health),
    Image: record.imageId,
    ResolvConfPath: directory && `${directory}/resolv.conf`,
    HostnamePath: hasName(found) ? directory && `${directory}/hostname` : '',
    HostsPath: directory && `${directory}/hosts`,
    LogPath: hostConfig.LogConfig?.Type === 'json-file' ? (paths?.logFile ?? '') : '',
    ...(context.logDrops && { LogDropped: context.logDrops }),
    Name: `/${name}`,
    RestartCount: core.restart?.count ?? 0,
    Driver: core.config?.snapshotter ?? '',
    Platform: record.platform,
    ...(atLeast(context.version, '1.48') && {
      ImageManifestDescriptor: record.manifestDigest && {
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        digest: record.manifestDigest,
        size: 0,
      },
    }),
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: core.config?.apparmorProfile ?? '',
    ExecIDs: context.execIds.length === 0 ? null : context.execIds,
    HostConfig: hostConfigJson(hostConfig, context.version),
    GraphDriver: { Data: null, Name: core.config?.snapshotter ?? '' },
    ...(context.sizes && { SizeRw: context.sizes.rw, SizeRootFs: context.sizes.rootFs }),
    Mounts: record.mounts.filter(isShown).map(mountJson),
    Config: configJson(config, context.version),
    NetworkSettings: networkSettingsJson(found, context),
  }
}

function stateJson({ state, core }: Found, health: Health | undefined): object {
  const { name, pid, exitCode, error, oomKilled, startedAt, finishedAt } = state
  const { oom } = core.lastRun ?? {}
  return {
    Status: name,
    Running: name === 'running' || name === 'paused' || name === 'restarting',
    Paused: name === 'paused',
    Restarting: name === 'restarting',
    OOMKilled: oomKilled,
    ...(oomKilled && oom && { OOMReport: oomReportJson(oom) }),
    Dead: name === 'dead',
    Pid: pid,
    ExitCode: exitCode,
    Error: error,
    StartedAt: timeText(startedAt),
    FinishedAt: finishedAt ? timeText(finishedAt) : neverText,
    ...(health && { Health: health }),
  }
}

/** Of --tmpfs the configuration tells; of --mount the mounts do. */
export const isShown = ({ Type, Mode }: MountPoint): boolean => Type !== 'tmpfs' || Mode === ''

export function mountJson(point: MountPoint): object {
  const { Type, Name, Destination, Driver, Mode, RW, Propagation } = point
  const Source = Type === 'image' ? (point.at ?? '') : point.Source
  return {
    Type,
    ...(Name && { Name }),
    Source,
    Destination,
    ...(Driver && { Driver }),
    Mode,
    RW,
    Propagation,
  }
}

function networkSettingsJson(found: Found, context: InspectContext): object {
  const { record, core } = found
  const networks = networksJson(found, context)
  const mode = modeOf(record.hostConfig)
  const sandboxKey = core.attachments[0]?.netnsPath ?? ''
  const shared = {
    Bridge: '',
    SandboxID: sandboxKey === '' ? '' : found.id,
    SandboxKey: sandboxKey,
    Ports: portMapJson(found),
  }
  if (atLeast(context.version, '1.52')) return { ...shared, Networks: networks }
  const bridge = networks.bridge
  return {
    ...shared,
    HairpinMode: false,
    LinkLocalIPv6Address: '',
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: bridge?.EndpointID ?? '',
    Gateway: bridge?.Gateway ?? '',
    GlobalIPv6Address: bridge?.GlobalIPv6Address ?? '',
    GlobalIPv6PrefixLen: bridge?.GlobalIPv6PrefixLen ?? 0,
    IPAddress: bridge?.IPAddress ?? '',
    IPPrefixLen: bridge?.IPPrefixLen ?? 0,
    IPv6Gateway: bridge?.IPv6Gateway ?? '',
    MacAddress: bridge?.MacAddress ?? '',
    Networks: mode.startsWith('container:') ? {} : networks,
  }
}

/** Whether it was ever to run: before, Docker tells nothing of its files and of its networks' ids. */
export const wasStarted = ({ core, record }: Pick<Found, 'core' | 'record'>): boolean =>
  core.lastRun?.startedAt !== undefined || (record.failure !== undefined && record.failure.at !== 'first network')

const hasName = ({ core, record }: Found): boolean =>
  core.lastRun?.startedAt !== undefined || record.failure?.at === undefined

/** Whether it tells of networks that only their names are known of: what it is on says its id by itself. */
export function needsNetworkIds(found: Pick<Found, 'core' | 'record'>): boolean {
  const joined = new Set(found.core.attachments.map(({ networkName }) => networkName))
  return wasStarted(found) && networkNames(found).some(name => !joined.has(name))
}

/** Those it is on, or when it does not run, those it will be on. */
function networkNames({ record, core }: Pick<Found, 'core' | 'record'>): string[] {
  const wished = (core.config?.networks ?? [])
    .map(({ network }) => network)
    .filter(network => !network.startsWith('container:'))
    // Left by all its networks it is on none: what the core calls `none` then.
    .filter(network => network !== 'none' || record.hostConfig.NetworkMode === 'none')
  return [...new Set([...wished, ...core.attachments.map(({ networkName }) => networkName)])]
}

/** By network name. */
export function networksJson(
  { id, name, record, core }: Found,
  { networkIds, version }: Pick<InspectContext, 'networkIds' | 'version'>,
) {
  const byName = new Map<string, AttachmentRecord>(core.attachments.map(made => [made.networkName, made]))
  const isKnown = wasStarted({ core, record })
  return Object.fromEntries(
    networkNames({ record, core }).map(network => [
      network,
      endpointJson({
        ...{ id, name, network, version, hostname: record.config.Hostname },
        networkId: isKnown ? (byName.get(network)?.networkId ?? networkIds.get(network) ?? '') : '',
        attachment: byName.get(network),
        wish: record.endpoints[network],
      }),
    ]),
  )
}

/** `POST /containers/create`. */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { hostname } from 'node:os'
import type * as z from 'zod'
import { isGantryError, messageOf } from '#api/errors/errors.ts'
import { type ContainerConfig, InspectResponse } from '#api/gen/gantry/services/containers/v1/containers.ts'
import type { Input } from '#api/rpc/definition.ts'
import { now } from '#api/types/clock.ts'
import type { Engine } from '../../engine/engine.ts'
import type { ResolvedImage } from '../../engine/images.ts'
import { type ApiVersion, atLeast, newestVersion } from '../../http/api-version.ts'
import { badRequest, conflict, notFound } from '../../http/http-error.ts'
import { publishContainerEvent } from '../actor.ts'
import type { KnownContainers } from '../known-containers.ts'
import type { NewContainers } from '../new-containers.ts'
import { withPlaces } from '../placed-mounts.ts'
import { type DockerRecord, encodeRecord, type MountPoint } from '../record.ts'
import { stateOf } from '../state.ts'
import type { ContainerStore, Found } from '../store.ts'
import { timeText } from '../times.ts'
import { needsHost } from '../volume-mounts.ts'
import type { Config, createSchema, EndpointWish, HostConfig } from './body.ts'
import { hostConfigSchema } from './body.ts'
import { checkConfig, checkHostConfig } from './check.ts'
import { checkNetworkMode } from './check-network-mode.ts'
import { checkLogDriver } from './logging.ts'
import { mergeImage } from './merge-image.ts'
import { resolveMounts } from './mounts.ts'
import { modeOf } from './networks.ts'
import { generateName } from './random-name.ts'
import { translate } from './translate.ts'
import type { VolumeFiller } from './volume-filler.ts'

export interface CreateParts {
  engine: Pick<Engine, 'settings' | 'core' | 'images' | 'volumes' | 'events'>
  store: ContainerStore
  filler: VolumeFiller
  newContainers: NewContainers
  known: KnownContainers
}

export interface Created {
  Id: string
  Warnings: string[]
}

export type CreateBody = z.output<typeof createSchema>

export async function createContainer(
  parts: CreateParts,
  body: CreateBody,
  { name, platform, version }: { name: string; platform: string; version: ApiVersion },
): Promise<Created> {
  const { HostConfig: hostWish, NetworkingConfig, ...wish } = body
  if (wish.Image === '') throw badRequest('no image specified')
  const host = hostWish ? completeHost(hostWish, version) : completeHost(hostConfigSchema.parse({}), newestVersion)
  checkConfig(wish)
  checkHostConfig(host, wish)
  checkNetworkMode(modeOf(host), host, wish)
  await checkLogDriver(host.LogConfig, parts.engine.settings.config.docker_plugin_folders)
  const image = await parts.engine.images.resolve(wish.Image, platform || undefined)
  const wanted = name.replace(/^\//, '')
  if (wanted !== '' && !/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(wanted))
    throw badRequest(`Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`)
  const id = randomBytes(32).toString('hex')
  const config = mergeImage(completeHostname(wish, host, id), image.config)
  checkConfig(config)
  const resolved = await resolveReferences(parts.store, host)
  // A create that comes to nothing leaves no volumes behind.
  if (wanted !== '' && namesVolumes(host)) await refuseTaken(parts.store, wanted)
  const points = await resolveMounts(mountParts(parts, host.AutoRemove ? id : undefined), config, host)
  const mounts = withPlaces(parts.engine.settings.state, id, points)
  const endpoints = endpointsOf(NetworkingConfig?.EndpointsConfig ?? {})
  const record = recordOf({ config, host, image, mounts, endpoints })
  try {
    const warnings = await recordContainer(parts, { id, wanted, record, image, host: resolved, platform })
    if (mounts.some(({ Type }) => Type === 'volume')) await fillVolumes(parts, id)
    return { Id: id, Warnings: warnings }
  } catch (error) {
    await parts.engine.volumes.removeAnonymous(mounts.flatMap(point => (point.anonymous ? [point.Name ?? ''] : [])))
    throw error
  }
}

/** A container whose volumes could not be filled is not there. */
async function fillVolumes({ engine, store, filler }: CreateParts, id: string): Promise<void> {
  try {
    await filler.fill(await store.get(id))
  } catch (error) {
    await engine.core.records.delete({ id })
    throw error
  }
}

function mountParts({ engine, store }: CreateParts, goesWith: string | undefined) {
  return {
    goesWith,
    root: engine.settings.root,
    volumes: engine.volumes,
    images: engine.images,
    mountsOf: async (reference: string) => (await store.get(reference)).record.mounts,
  }
}

interface Recording {
  id: string
  wanted: string
  record: DockerRecord
  image: ResolvedImage
  /** With the ids of the containers it refers to. */
  host: HostConfig
  platform: string
}

/** A random name that is taken is drawn again. */
async function recordContainer(parts: CreateParts, wish: Recording): Promise<string[]> {
  const { id, wanted, record, image, host, platform } = wish
  for (let attempt = 0; ; attempt++) {
    const name = wanted || generateName(attempt)
    const config = translate({
      ...{
        id,
        name,
        image: image.recordName,
        imageId: record.imageId,
        platform,
        config: record.config,
        host,
        mounts: record.mounts,
      },
      networks: { mode: modeOf(host), endpoints: record.endpoints },
    })
    try {
      return await recordAs(parts, config, { id, name, record })
    } catch (error) {
      if (isGantryError(error, 'ALREADY_EXISTS') && wanted === '' && attempt < 20) continue
      throw await translateFailure(parts.store, error, name)
    }
  }
}

/** Answers warnings. */
async function recordAs(
  { engine, known, newContainers }: CreateParts,
  config: Input<ContainerConfig>,
  container: Pick<Found, 'id' | 'name' | 'record'>,
): Promise<string[]> {
  const extensions = encodeRecord(container.record)
  const made = engine.core.containers.create({ config, extensions })
  const making = made.then(({ paths }) => ({
    ...container,
    // Its configuration is the core's to complete.
    core: InspectResponse.fromPartial({ paths, extensions, createdAt: now() }),
    state: stateOf({ task: undefined, lastRun: undefined, restart: undefined }),
  }))
  // Before the event of its creation is there.
  known.learn(container.id, making)
  const found = await making
  // What its start has to mount first is looked at as it is then.
  if (!needsHost(found)) newContainers.add(found)
  publishContainerEvent(engine.events, container, 'create')
  return (await made).warnings
}

const namesVolumes = ({ Binds, Mounts }: HostConfig): boolean =>
  (Binds ?? []).some(text => !text.startsWith('/')) || (Mounts ?? []).some(({ Type }) => Type === 'volume')

async function refuseTaken(store: ContainerStore, name: string): Promise<void> {
  const holder = await store.peek(name)
  if (holder?.name === name) throw nameTaken(name, holder.id)
}

const nameTaken = (name: string, holder: string) =>
  conflict(
    `Conflict. The container name "/${name}" is already in use by container "${holder}". You have to remove (or rename) that container to be able to reuse that name.`,
  )

async function translateFailure(store: ContainerStore, error: unknown, name: string): Promise<unknown> {
  if (isGantryError(error, 'ALREADY_EXISTS')) return nameTaken(name, (await store.peek(name))?.id ?? '')
  if (isGantryError(error, 'NOT_FOUND') && /network/.test(messageOf(error)))
    return notFound(messageOf(error), { cause: error })
  return error
}

/** Of cgroup v1 and of hybrid hosts the host's; of v2 one of its own. */
const defaultCgroupMode = existsSync('/sys/fs/cgroup/cgroup.controllers') ? 'private' : 'host'

/** Whoever sees the host's processes has no SELinux label of its own. */
function securityOptions({ SecurityOpt, Privileged, PidMode, IpcMode }: HostConfig): string[] | null {
  const isOpen = Privileged || PidMode === 'host' || IpcMode === 'host'
  const isTold = (SecurityOpt ?? []).some(option => option.startsWith('label'))
  return isOpen && !isTold ? [...(SecurityOpt ?? []), 'label=disable'] : SecurityOpt
}

/** What Docker fills in. */
function completeHost(host: HostConfig, version: ApiVersion): HostConfig {
  return {
    ...host,
    NetworkMode: host.NetworkMode || 'default',
    IpcMode: host.IpcMode || (atLeast(version, '1.40') ? 'private' : 'shareable'),
    CgroupnsMode: host.CgroupnsMode || defaultCgroupMode,
    SecurityOpt: securityOptions(host),
    OomKillDisable: host.OomKillDisable ?? false,
    // The command says -1 for "as the host's".
    MemorySwappiness: host.MemorySwappiness === -1 ? undefined : host.MemorySwappiness,
    PidsLimit: (host.PidsLimit ?? 0) > 0 ? host.PidsLimit : undefined,
    MemorySwap: host.MemorySwap || Math.max(0, host.Memory) * 2,
    ShmSize: host.ShmSize || 64 * 1024 * 1024,
    Runtime: host.Runtime || 'runc',
    RestartPolicy: host.RestartPolicy ?? { Name: 'no', MaximumRetryCount: 0 },
    LogConfig: { Type: host.LogConfig?.Type || 'json-file', Config: host.LogConfig?.Config ?? {} },
    ConsoleSize: host.ConsoleSize ?? [0, 0],
  }
}

function completeHostname(config: Config, host: HostConfig, id: string): Config {
  const mode = modeOf(host)
  const hasOwn = mode !== 'host' && !mode.startsWith('container:')
  const inherited = mode === 'host' ? hostname() : ''
  return { ...config, Hostname: config.Hostname || (hasOwn ? id.slice(0, 12) : inherited) }
}

/** `container:NAME` becomes `container:ID`: names change hands. */
async function resolveReferences(store: ContainerStore, host: HostConfig): Promise<HostConfig> {
  const resolve = async (mode: string) =>
    mode.startsWith('container:') ? `container:${(await store.get(mode.slice('container:'.length))).id}` : mode
  const [NetworkMode, PidMode, IpcMode] = await Promise.all([host.NetworkMode, host.PidMode, host.IpcMode].map(resolve))
  return { ...host, NetworkMode: NetworkMode ?? '', PidMode: PidMode ?? '', IpcMode: IpcMode ?? '' }
}

const endpointsOf = (wishes: Record<string, EndpointWish>): Record<string, EndpointWish> =>
  Object.fromEntries(Object.entries(wishes).map(([name, wish]) => [name === 'default' ? 'bridge' : name, wish]))

interface RecordParts {
  config: Config
  host: HostConfig
  image: ResolvedImage
  mounts: MountPoint[]
  endpoints: Record<string, EndpointWish>
}

function recordOf({ config, host, image, mounts, endpoints }: RecordParts): DockerRecord {
  const [path = '', ...args] = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])]
  return {
    ...{ config, hostConfig: host, endpoints, mounts, path, args },
    created: timeText(now()),
    imageId: image.id,
    manifestDigest: image.manifestDigest,
    platform: 'linux',
  }
}

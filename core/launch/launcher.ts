import { randomBytes } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { alreadyExists, invalidArgument, isGantryError, notFound } from '#api/errors/errors.ts'
import { Options } from '#api/gen/containerd/runc/v1/options.ts'
import { ContainerConfig } from '#api/gen/gantry/services/containers/v1/containers.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'
import { type Digest, parseDigest } from '#api/types/digest.ts'
import { validateIdentifier } from '#api/types/identifiers.ts'
import { formatPlatform, hostPlatform, normalizePlatform, parsePlatform } from '#api/types/platform.ts'
import type { Container, Containers } from '#core/containers/containers.ts'
import type { ContentStore } from '#core/content/content.ts'
import type { Images } from '#core/images/images.ts'
import type { Namespaces } from '#core/namespaces/namespaces.ts'
import type { Networks } from '#core/networks/networks.ts'
import type { Snapshots } from '#core/snapshots/snapshots.ts'
import {
  composeSpec,
  encodeSpecJson,
  type ImageConfig,
  networkMode,
  parseImageConfig,
  type SpecHost,
  specTypeUrl,
} from '#core/spec/spec.ts'
import type { UnpackedImage, Unpacker } from '#core/transfer/transfer.ts'
import type { Inspection, Launched, Launcher, StreamPaths } from './launch.ts'
import { launchConfigAny, launchConfigOf } from './launch-config.ts'
import type { PlacesOf } from './places.ts'

export interface LauncherSettings {
  snapshotter: string
  runtime: string
}

export interface LauncherParts {
  containers: Containers
  content: ContentStore
  images: Images
  namespaces: Namespaces
  networks: Networks
  snapshots: Snapshots
  unpacker: Unpacker
  placesOf: PlacesOf
  host: SpecHost
  settings: LauncherSettings
}

/** A configuration blob is a few KiB; what is larger is none. */
const maxImageConfigBytes = 4 * 1024 * 1024

/** Of a label's key and value together (api/types/identifiers.ts). */
const maxLabelBytes = 4096

/** Keeps a snapshot as long as the container record is there (containerd's label, read by garbage collection). */
const parentLabel = (snapshotter: string) => `containerd.io/gc.ref.snapshot.${snapshotter}`

export class LauncherImpl implements Launcher {
  readonly #parts: LauncherParts

  constructor(parts: LauncherParts) {
    this.#parts = parts
  }

  async create(ns: string, wish: ContainerConfig, signal?: AbortSignal): Promise<Launched> {
    const completed = await this.#complete(ns, wish)
    const { id } = completed
    await this.#refuseTakenId(ns, id)
    await this.#checkReferences(ns, completed)
    const unpacked = await this.#unpack(ns, completed, signal)
    const image = await this.#imageConfig(ns, completed.image, unpacked)
    const platformWarnings = checkPlatform(completed, image)
    const { imageLabels, labelWarnings } = fittingLabels(image)
    const config = withImageUser(completed, image)
    const places = this.#parts.placesOf(ns, id)
    const { spec, warnings } = await composeSpec({ namespace: ns, id, config, image, files: places }, this.#parts.host)
    await this.#parts.containers.create(ns, {
      id,
      image: config.image,
      labels: {
        ...imageLabels,
        ...config.labels,
        ...(image.stopSignal && { 'io.containerd.image.config.stop-signal': image.stopSignal }),
        ...(unpacked.chainID && { [parentLabel(config.snapshotter)]: unpacked.chainID }),
      },
      runtime: { name: config.runtime, options: runtimeOptions(config, this.#parts.host) },
      spec: { typeUrl: specTypeUrl, value: encodeSpecJson(spec) },
      snapshotter: config.snapshotter,
      snapshotKey: id,
      extensions: { [launchConfigAny(config).typeUrl]: launchConfigAny(config) },
    })
    return { id, paths: this.#paths(ns, config, ''), warnings: [...platformWarnings, ...labelWarnings, ...warnings] }
  }

  async inspect(ns: string, id: string, execId: string): Promise<Inspection> {
    const config = launchConfigOf(await this.#parts.containers.get(ns, id))
    if (!config) throw notFound(`container "${id}" of the containers service (another client made it)`)
    const attachments = await this.#parts.networks.attachments(ns, id)
    return { config, paths: this.#paths(ns, config, execId), attachments }
  }

  async rootParent(ns: string, container: Container, signal?: AbortSignal): Promise<string> {
    const labelled = container.labels[parentLabel(container.snapshotter)]
    if (labelled && (await this.#isCommitted(ns, container.snapshotter, labelled))) return labelled
    const config = launchConfigOf(container)
    if (!config) throw notFound(`image of container "${container.id}"`)
    return (await this.#unpack(ns, config, signal)).chainID
  }

  async #isCommitted(ns: string, snapshotter: string, name: string): Promise<boolean> {
    try {
      return (await this.#parts.snapshots.on(snapshotter).stat(ns, name)).kind === 'committed'
    } catch (error) {
      if (isGantryError(error, 'NOT_FOUND')) return false
      throw error
    }
  }

  /** What was left open is decided here, so that the record says what is. */
  async #complete(ns: string, wish: ContainerConfig): Promise<ContainerConfig> {
    if (wish.image === '') throw invalidArgument('config.image must be set')
    const id = wish.id || randomBytes(32).toString('hex')
    validateIdentifier(id, 'config.id')
    const defaults = await this.#parts.namespaces.labels(ns)
    const { settings } = this.#parts
    return ContainerConfig.fromPartial({
      ...wish,
      id,
      snapshotter: wish.snapshotter || defaults['containerd.io/defaults/snapshotter'] || settings.snapshotter,
      runtime: wish.runtime || defaults['containerd.io/defaults/runtime'] || settings.runtime,
      networks: wish.networks.length > 0 ? wish.networks : [{ network: 'bridge' }],
    })
  }

  /** Before the work of unpacking; the record's own creation is what decides. */
  async #refuseTakenId(ns: string, id: string): Promise<void> {
    const taken = await this.#parts.containers.get(ns, id).catch(error => {
      if (!isGantryError(error, 'NOT_FOUND')) throw error
    })
    if (taken) throw alreadyExists(`container "${id}"`)
  }

  async #checkReferences(ns: string, config: ContainerConfig): Promise<void> {
    if (networkMode(config).kind !== 'container') await this.#parts.networks.sharesHost(ns, config.networks)
    const { driver = '' } = config.log ?? {}
    if (!['', 'json-file', 'none'].includes(driver))
      throw invalidArgument(`log.driver "${driver}" is neither "json-file" nor "none"`)
    const stdin = config.process?.stdin ?? ''
    if (!['', 'none', 'open', 'once'].includes(stdin))
      throw invalidArgument(`process.stdin "${stdin}" is none of "none", "open" and "once"`)
    await Promise.all(config.mounts.filter(mount => mount.type === '' || mount.type === 'bind').map(requireSource))
  }

  async #unpack(ns: string, config: ContainerConfig, signal?: AbortSignal): Promise<UnpackedImage> {
    const { target } = await this.#parts.images.get(ns, config.image)
    return this.#parts.unpacker.ensureUnpacked(ns, target, {
      snapshotter: config.snapshotter,
      platform: config.platform ? parsePlatform(config.platform) : undefined,
      signal,
    })
  }

  async #imageConfig(ns: string, image: string, unpacked: UnpackedImage): Promise<ImageConfig> {
    const digest: Digest = parseDigest(unpacked.config.digest)
    return parseImageConfig(image, await this.#parts.content.readAll(ns, digest, maxImageConfigBytes))
  }

  #paths(ns: string, config: ContainerConfig, execId: string): StreamPaths {
    const places = this.#parts.placesOf(ns, config.id)
    const logged = execId === '' && config.log?.driver !== 'none'
    return { attachSocket: places.attachSocket(execId), logFile: logged ? places.logFile : '' }
  }
}

/** NOT_FOUND when a platform was asked for that the image is not of; one that merely is not the host's is only worth a warning. */
function checkPlatform({ image, platform }: ContainerConfig, { os, architecture }: ImageConfig): string[] {
  const wanted = platform ? parsePlatform(platform) : hostPlatform()
  const offered = { os, architecture: architecture || wanted.architecture, variant: '' }
  if (wanted.os === os && normalizePlatform(offered).architecture === wanted.architecture) return []
  const offer = formatPlatform(offered)
  if (platform) throw notFound(`image "${image}" for platform ${platform} (it is for ${offer})`)
  return [`image "${image}" is for ${offer}, this host is ${formatPlatform(wanted)}`]
}

/** An image may carry labels that are too long for a record: they are left out, and told. */
function fittingLabels({ labels }: ImageConfig): { imageLabels: Record<string, string>; labelWarnings: string[] } {
  const isTooLong = ([key, value]: [string, string]) =>
    Buffer.byteLength(key) + Buffer.byteLength(value) > maxLabelBytes
  const [long, fitting] = [Object.entries(labels).filter(isTooLong), Object.entries(labels).filter(e => !isTooLong(e))]
  const labelWarnings = long.map(
    ([key]) => `image label "${key.slice(0, 64)}" is longer than ${maxLabelBytes} bytes: left out`,
  )
  return { imageLabels: Object.fromEntries(fitting), labelWarnings }
}

/** Whom the image names is recorded as a wish: the user is looked up when the task is created, without the image. */
function withImageUser(config: ContainerConfig, image: ImageConfig): ContainerConfig {
  const user = config.process?.user || image.user
  return ContainerConfig.fromPartial({ ...config, process: { ...config.process, user } })
}

async function requireSource({ source, target }: { source: string; target: string }): Promise<void> {
  await stat(source).catch(cause => {
    throw invalidArgument(`source "${source}" of the bind mount at "${target}" does not exist`, { cause })
  })
}

/** The shim learns the cgroup driver from its options, as runc's shim does. */
function runtimeOptions(config: ContainerConfig, host: SpecHost): Any | undefined {
  if ((config.cgroupDriver || host.cgroup.driver) !== 'systemd') return undefined
  const options = Options.fromPartial({ systemdCgroup: true })
  return { typeUrl: 'containerd.runc.v1.Options', value: Buffer.from(Options.encode(options).finish()) }
}

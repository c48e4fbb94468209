import { randomBytes } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { KeyedLock } from '#api/concurrency/keyed-lock.ts'
import { alreadyExists, invalidArgument, isGantryError, notFound } from '#api/errors/errors.ts'
import { Options } from '#api/gen/containerd/runc/v1/options.ts'
import { ContainerConfig, type NetworkAttachment } from '#api/gen/gantry/services/containers/v1/containers.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'
import { checkLogOptions } from '#api/log-drivers/drivers.ts'
import { step } from '#api/trace/spans.ts'
import { type Digest, parseDigest } from '#api/types/digest.ts'
import { validateIdentifier } from '#api/types/identifiers.ts'
import { snapshotterLabel } from '#api/types/image-labels.ts'
import { parsePlatform } from '#api/types/platform.ts'
import type { Container, ContainerSpec, Containers } from '#core/containers/containers.ts'
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
import type { ChangedContainers } from './changed-containers.ts'
import type { ContainerNames } from './container-names.ts'
import { type DescribeParts, describe, streamPaths, withHealthNow } from './describe.ts'
import { shimHealthCheck } from './health-check.ts'
import { checkPlatform, fittingLabels } from './image-fit.ts'
import type { Changed, Changes, Inspection, Launched, Launcher } from './launch.ts'
import { launchConfigAny, launchConfigOf } from './launch-config.ts'
import { restartPolicyOf } from './restart-policy.ts'

export interface LauncherSettings {
  snapshotter: string
  runtime: string
}

export interface LauncherParts extends DescribeParts {
  containers: Containers
  names: ContainerNames
  content: ContentStore
  images: Images
  namespaces: Namespaces
  networks: Networks
  snapshots: Snapshots
  unpacker: Unpacker
  host: SpecHost
  settings: LauncherSettings
  changed: ChangedContainers
}

/** A configuration blob is a few KiB; what is larger is none. */
const maxImageConfigBytes = 4 * 1024 * 1024

/** Keeps a snapshot as long as the container record is there (containerd's label, read by garbage collection). */
const parentLabel = (snapshotter: string) => `containerd.io/gc.ref.snapshot.${snapshotter}`

/** In one message: some hundred KiB. */
const describedAtOnce = 64

interface Composed {
  record: Omit<ContainerSpec, 'extensions'>
  config: ContainerConfig
  warnings: string[]
}

export class LauncherImpl implements Launcher {
  readonly #parts: LauncherParts
  readonly #changing = new KeyedLock()

  constructor(parts: LauncherParts) {
    this.#parts = parts
  }

  async create(
    ns: string,
    wish: ContainerConfig,
    extensions: Readonly<Record<string, Any>> = {},
    signal?: AbortSignal,
  ): Promise<Launched> {
    const completed = await step('complete the wish', () => this.#complete(ns, wish))
    const { id } = completed
    await step('look for the id', () => this.#refuseTakenId(ns, id))
    using _ = this.#parts.names.reserve(ns, completed.name, id)
    try {
      const { record, config, warnings } = await this.#compose(ns, completed, signal)
      const own = launchConfigAny(config)
      await step('record the container', () =>
        this.#parts.containers.create(ns, { ...record, extensions: { ...extensions, [own.typeUrl]: own } }),
      )
      return { id, paths: streamPaths(this.#parts, ns, config, ''), warnings }
    } catch (error) {
      this.#parts.names.release(ns, completed.name, id)
      throw error
    }
  }

  /** All that a record holds of a configuration. */
  async #compose(ns: string, completed: ContainerConfig, signal?: AbortSignal): Promise<Composed> {
    const { id } = completed
    await step('check what it refers to', () => this.#checkReferences(ns, completed))
    const unpacked = await step('find the image unpacked', () => this.#unpack(ns, completed, signal))
    const image = await step('read the image', () => this.#imageConfig(ns, completed.image, unpacked))
    const platformWarnings = checkPlatform(completed, image)
    const { imageLabels, labelWarnings } = fittingLabels(image)
    const config = withImageUser(completed, image)
    const places = this.#parts.placesOf(ns, id)
    const { spec, warnings } = await step('compose the spec', () =>
      composeSpec({ namespace: ns, id, config, image, files: places }, this.#parts.host),
    )
    const record = {
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
    }
    return { record, config, warnings: [...platformWarnings, ...labelWarnings, ...warnings] }
  }

  async inspect(ns: string, reference: string, execId: string): Promise<Inspection> {
    const id = this.#parts.names.find(ns, reference)
    const described = await describe(this.#parts, ns, await this.#parts.containers.get(ns, id), { execId })
    if (!described) throw notFound(`container "${id}" of the containers service (another client made it)`)
    return withHealthNow(described)
  }

  async list(ns: string): Promise<Inspection[]> {
    const records = await this.#parts.containers.list(ns)
    const all = await Promise.all(records.map(record => this.#known(ns, record)))
    return all.filter(described => described !== undefined)
  }

  async *changes(ns: string, mark: string, again: readonly string[]): AsyncGenerator<Changed> {
    // Taken first: what changes while we read is told the next time.
    const { mark: now, ids } = this.#parts.changed.since(ns, mark)
    const asked = ids && [...new Set([...ids, ...again])]
    const batches = asked ? this.#byIds(ns, asked) : this.#all(ns)
    const head = { mark: now, isComplete: ids === undefined }
    yield { ...head, networks: this.#parts.networks.ids(ns), containers: [], removed: [] }
    for await (const batch of batches) yield { ...head, networks: {}, ...batch }
  }

  async *#all(ns: string): AsyncGenerator<Pick<Changed, 'containers' | 'removed'>> {
    for await (const records of this.#parts.containers.listInSteps(ns)) {
      const all = await Promise.all(records.map(record => this.#known(ns, record)))
      yield { containers: all.filter(described => described !== undefined), removed: [] }
    }
  }

  async *#byIds(ns: string, ids: readonly string[]): AsyncGenerator<Pick<Changed, 'containers' | 'removed'>> {
    for (let at = 0; at < ids.length; at += describedAtOnce) {
      const batch = ids.slice(at, at + describedAtOnce)
      const found = await Promise.all(batch.map(id => this.#knownById(ns, id)))
      yield {
        containers: found.filter(described => described !== undefined),
        removed: batch.filter((_, index) => found[index] === undefined),
      }
    }
  }

  async #knownById(ns: string, id: string): Promise<Inspection | undefined> {
    try {
      return await this.#known(ns, await this.#parts.containers.get(ns, id))
    } catch (error) {
      if (isGantryError(error, 'NOT_FOUND')) return undefined
      throw error
    }
  }

  #known(ns: string, record: Container): Promise<Inspection | undefined> {
    return describe(this.#parts, ns, record, { asksShim: false })
  }

  /** One change of a container at a time: each reads the record before it writes it. */
  async update(ns: string, reference: string, changes: Changes, signal?: AbortSignal): Promise<string[]> {
    const id = this.#parts.names.find(ns, reference)
    return this.#changing.run(`${ns}/${id}`, () => this.#update(ns, id, changes, signal))
  }

  async #update(ns: string, id: string, { config, extensions, name }: Changes, signal?: AbortSignal) {
    const container = await this.#parts.containers.get(ns, id)
    const current = launchConfigOf(container)
    if (!current) throw notFound(`container "${id}" of the containers service (another client made it)`)
    const { image, snapshotter, runtime } = current
    const kept = { id, image, snapshotter, runtime, name: name || current.name }
    const next = ContainerConfig.fromPartial({ ...(config ?? current), ...kept })
    using _ = this.#parts.names.reserve(ns, next.name, id)
    const composed = config && (await this.#compose(ns, await this.#complete(ns, next), signal))
    const own = launchConfigAny(composed?.config ?? next)
    await this.#parts.containers.update(
      ns,
      { ...container, ...composed?.record, extensions: { ...extended(container, extensions), [own.typeUrl]: own } },
      composed ? ['labels', 'spec', 'extensions'] : ['extensions'],
    )
    if (current.name !== next.name) {
      this.#parts.names.release(ns, current.name, id)
      await this.#parts.networks.rename(ns, id, next.name)
    }
    return composed?.warnings ?? []
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
      snapshotter:
        wish.snapshotter ||
        (await this.#parts.images.get(ns, wish.image)).labels[snapshotterLabel] ||
        defaults['containerd.io/defaults/snapshotter'] ||
        settings.snapshotter,
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
    if (networkMode(config).kind !== 'container') await this.#checkNetworks(ns, config.networks)
    if (restartPolicyOf(config.restartPolicy).name !== 'no' && config.autoRemove)
      throw invalidArgument('restart_policy and auto_remove: a container that is removed cannot be started again')
    checkLogOptions(config.log?.driver ?? '', config.log?.options ?? {})
    const stdin = config.process?.stdin ?? ''
    if (!['', 'none', 'open', 'once'].includes(stdin))
      throw invalidArgument(`process.stdin "${stdin}" is none of "none", "open" and "once"`)
    shimHealthCheck(config, {}, '')
    const binds = config.mounts.filter(({ type }) => type === '' || type === 'bind')
    await Promise.all(binds.filter(({ lateSource }) => !lateSource).map(requireSource))
  }

  async #checkNetworks(ns: string, wishes: readonly NetworkAttachment[]): Promise<void> {
    try {
      await this.#parts.networks.sharesHost(ns, wishes)
    } catch (error) {
      if (!isGantryError(error, 'NOT_FOUND') || !wishes.some(({ late }) => late)) throw error
    }
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
}

/** An empty message takes an extension away. */
function extended(container: Container, changes: Readonly<Record<string, Any>>): Record<string, Any> {
  const entries = Object.entries({ ...container.extensions, ...changes })
  return Object.fromEntries(entries.filter(([, value]) => value.value.length > 0 || value.typeUrl !== ''))
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

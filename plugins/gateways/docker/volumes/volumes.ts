/**
 * Volumes of the `local` driver. The record is a file beside the data (volume-record.ts), who uses a volume is asked of
 * the containers, and what is mounted of the kernel: nothing here is lost when the process is killed.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { KeyedLock } from '#api/concurrency/keyed-lock.ts'
import { messageOf } from '#api/errors/errors.ts'
import { mount, unmount } from '#api/sys/sys.ts'
import type { Engine } from '../engine/engine.ts'
import type { EngineVolumes, ReadyVolume, VolumeWish } from '../engine/volumes.ts'
import { badRequest, conflict, HttpError, notFound, serverError } from '../http/http-error.ts'
import { fillVolume } from './fill.ts'
import { checkOptions, mountOf, needsMount, withoutPasswords } from './local-options.ts'
import { type VolumeRecord, VolumeStore } from './volume-record.ts'

/** Docker's mark of a volume that nobody gave a name. */
export const anonymousLabel = 'com.docker.volume.anonymous'

const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/

export class Volumes implements EngineVolumes {
  readonly #engine: Engine
  readonly #store: VolumeStore
  readonly #users: string
  /** By volume. */
  readonly #lock = new KeyedLock()

  constructor(engine: Engine) {
    this.#engine = engine
    this.#store = new VolumeStore(engine.settings.root)
    this.#users = join(engine.settings.state, 'volume-users')
  }

  /** Clears what a crash left half-made. */
  async open(): Promise<void> {
    await this.#store.sweep()
    await this.#removeOrphans().catch(error => {
      this.#engine.log.warn({ err: error }, 'volumes of containers that are gone are left for later')
    })
  }

  /** The container went while no gateway was there to see it. */
  async #removeOrphans(): Promise<void> {
    const bound = (await this.#store.list()).filter(({ goesWith }) => goesWith !== undefined)
    if (bound.length === 0) return
    const containers = new Set((await this.#engine.containers.list()).map(({ id }) => id))
    await this.removeAnonymous(bound.flatMap(({ name, goesWith = '' }) => (containers.has(goesWith) ? [] : [name])))
  }

  list(): Promise<VolumeRecord[]> {
    return this.#store.list()
  }

  mountpointOf({ name }: VolumeRecord): string {
    return this.#store.dataOf(name)
  }

  async get(name: string): Promise<VolumeRecord | undefined> {
    return namePattern.test(name) ? this.#store.get(name) : undefined
  }

  /** Docker's 400 for names and options, 404 for drivers, 409 when the name belongs to another driver. */
  async create(wish: VolumeWish): Promise<VolumeRecord> {
    const name = wish.name === '' ? randomBytes(32).toString('hex') : wish.name
    try {
      return await this.#lock.run(name, () => this.#createLocked(name, wish))
    } catch (error) {
      if (error instanceof HttpError)
        throw new HttpError(error.status, `create ${name}: ${error.message}`, { cause: error })
      throw error
    }
  }

  async #createLocked(name: string, wish: VolumeWish): Promise<VolumeRecord> {
    const driver = wish.driver || 'local'
    checkName(name)
    const existing = await this.#store.get(name)
    if (existing !== undefined && existing.driver !== driver && wish.driver)
      throw conflict(`conflict: volume name must be unique: it exists with driver "${existing.driver}"`)
    if (existing !== undefined) return existing
    if (driver !== 'local') throw notFound(`error looking up volume plugin ${driver}: plugin "${driver}" not found`)
    checkOptions(wish.options ?? {})
    const labels = wish.name === '' ? { ...wish.labels, [anonymousLabel]: '' } : wish.labels
    const record = {
      name,
      driver,
      options: nullIfEmpty(wish.options),
      labels: nullIfEmpty(labels),
      ...(wish.name === '' && wish.goesWith && { goesWith: wish.goesWith }),
      createdAt: new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
    }
    await this.#store.put(record)
    this.#tell('create', name, { driver })
    return record
  }

  /** Docker's 404 and, while containers use it, 409. */
  async remove(name: string, force: boolean): Promise<void> {
    await this.#lock.run(name, async () => {
      const record = await this.get(name)
      if (record === undefined) {
        if (force) return
        throw notFound(`get ${name}: no such volume`)
      }
      const users = await this.usersOf(name)
      if (users.length > 0) throw conflict(`remove ${name}: volume is in use - [${users.join(', ')}]`)
      await this.#removeLocked(record)
    })
  }

  async #removeLocked({ name, driver, options }: VolumeRecord): Promise<void> {
    if (needsMount(options)) await unmount(this.#store.dataOf(name))
    await this.#store.remove(name)
    await rm(join(this.#users, name), { recursive: true, force: true })
    this.#tell('destroy', name, { driver })
  }

  /** Ids of containers that have it among their mounts, running or not. */
  async usersOf(name: string): Promise<string[]> {
    const containers = await this.#engine.containers.list()
    const uses = containers.filter(({ mounts }) => mounts.some(one => one.type === 'volume' && one.name === name))
    return uses.map(({ id }) => id)
  }

  async ensure(wish: VolumeWish): Promise<ReadyVolume> {
    return this.#ready(await this.create(wish))
  }

  async find(name: string): Promise<ReadyVolume | undefined> {
    const record = await this.get(name)
    return record && this.#ready(record)
  }

  #ready(record: VolumeRecord): ReadyVolume {
    const { name, driver, labels } = record
    return { name, driver, mountpoint: this.mountpointOf(record), isAnonymous: labels?.[anonymousLabel] !== undefined }
  }

  mount(name: string, containerId: string): Promise<string> {
    return this.#lock.run(name, async () => {
      const record = await this.get(name)
      if (record === undefined) throw notFound(`get ${name}: no such volume`)
      const data = this.#store.dataOf(name)
      if (needsMount(record.options)) await this.#mountOnce(record, containerId)
      this.#tell('mount', name, {
        container: containerId,
        destination: await this.#destination(name, containerId),
        driver: record.driver,
        propagation: '',
        'read/write': 'true',
      })
      return data
    })
  }

  /** The first user mounts; that it uses it is written down before. */
  async #mountOnce({ name, options }: VolumeRecord, containerId: string): Promise<void> {
    const users = join(this.#users, name)
    const others = await readdir(users).catch(() => [])
    await mkdir(users, { recursive: true, mode: 0o700 })
    await writeFile(join(users, containerId), '')
    if (others.some(other => other !== containerId)) return
    const data = this.#store.dataOf(name)
    // One that a killed process left is mounted anew: it may be half done.
    await unmount(data)
    try {
      await mount([await mountOf(options ?? {})], data)
    } catch (cause) {
      await rm(join(users, containerId), { force: true })
      const reason = withoutPasswords(messageOf(cause))
      throw serverError(`error while mounting volume '${data}': failed to mount local volume: ${reason}`, { cause })
    }
  }

  unmount(name: string, containerId: string): Promise<void> {
    return this.#lock.run(name, async () => {
      const record = await this.get(name)
      const users = join(this.#users, name)
      await rm(join(users, containerId), { force: true })
      const left = await readdir(users).catch(() => [])
      if (record !== undefined && needsMount(record.options) && left.length === 0)
        await unmount(this.#store.dataOf(name))
      if (record !== undefined) this.#tell('unmount', name, { container: containerId, driver: record.driver })
    })
  }

  async #destination(name: string, containerId: string): Promise<string> {
    const containers = await this.#engine.containers.list()
    const mounts = containers.find(({ id }) => id === containerId)?.mounts ?? []
    return mounts.find(one => one.type === 'volume' && one.name === name)?.destination ?? ''
  }

  fill(name: string, rootfs: string, path: string): Promise<void> {
    return this.#lock.run(name, async () => {
      const record = await this.get(name)
      if (record !== undefined && !needsMount(record.options))
        await fillVolume(this.#store.folderOf(name), rootfs, path)
    })
  }

  async removeAnonymous(names: readonly string[]): Promise<void> {
    for (const name of names) {
      await this.#lock.run(name, async () => {
        const record = await this.get(name)
        if (record?.labels?.[anonymousLabel] === undefined || (await this.usersOf(name)).length > 0) return
        await this.#removeLocked(record)
      })
    }
  }

  tellPruned(reclaimedBytes: number): void {
    const attributes = { reclaimed: `${reclaimedBytes}` }
    this.#engine.events.publish({ type: 'volume', action: 'prune', actor: { id: '', attributes } })
  }

  #tell(action: string, name: string, attributes: Readonly<Record<string, string>>): void {
    this.#engine.events.publish({ type: 'volume', action, actor: { id: name, attributes } })
  }
}

function checkName(name: string): void {
  if (name.length === 1)
    throw badRequest('volume name is too short, names should be at least two alphanumeric characters')
  if (!namePattern.test(name) || Buffer.byteLength(name) > 255)
    throw badRequest(
      `"${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    )
}

function nullIfEmpty(map: Readonly<Record<string, string>> | undefined): Readonly<Record<string, string>> | null {
  return map === undefined || Object.keys(map).length === 0 ? null : map
}

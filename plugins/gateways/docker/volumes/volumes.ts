/**
 * Volumes, whoever keeps their data (driver.ts). The record is a file (volume-record.ts), who uses a volume is asked of the
 * containers, and who has it mounted is a folder of files (volume-users.ts): nothing here is lost when the process is killed.
 */
import { randomBytes } from 'node:crypto'
import { KeyedLock } from '#api/concurrency/keyed-lock.ts'
import type { Engine } from '../engine/engine.ts'
import type { EngineVolumes, ReadyVolume, VolumeWish } from '../engine/volumes.ts'
import { conflict, HttpError, notFound } from '../http/http-error.ts'
import type { DriverVolume, VolumeDriver } from './driver.ts'
import type { VolumeDrivers } from './drivers.ts'
import { fillMounted, fillVolume, resolveInRoot } from './fill.ts'
import { checkName, isVolumeName } from './volume-name.ts'
import type { VolumeRecord, VolumeStore } from './volume-record.ts'
import type { VolumeUsers } from './volume-users.ts'

/** Docker's mark of a volume that nobody gave a name. */
export const anonymousLabel = 'com.docker.volume.anonymous'

export interface VolumeParts {
  engine: Pick<Engine, 'containers' | 'events' | 'log'>
  store: VolumeStore
  users: VolumeUsers
  drivers: VolumeDrivers
}

export class Volumes implements EngineVolumes {
  readonly #engine: VolumeParts['engine']
  readonly #store: VolumeStore
  readonly #users: VolumeUsers
  readonly #drivers: VolumeDrivers
  /** By volume. */
  readonly #lock = new KeyedLock()

  constructor({ engine, store, users, drivers }: VolumeParts) {
    this.#engine = engine
    this.#store = store
    this.#users = users
    this.#drivers = drivers
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
    const [bound, mounted] = [
      (await this.#store.list()).filter(({ goesWith }) => goesWith !== undefined),
      await this.#users.all(),
    ]
    if (bound.length === 0 && mounted.length === 0) return
    const containers = new Set((await this.#engine.containers.list()).map(({ id }) => id))
    for (const { volume, user } of mounted) if (!containers.has(user)) await this.unmount(volume, user)
    await this.removeAnonymous(bound.flatMap(({ name, goesWith = '' }) => (containers.has(goesWith) ? [] : [name])))
  }

  /** Those that have a record; what else plugins have, `drivers.listed` tells. */
  list(): Promise<VolumeRecord[]> {
    return this.#store.list()
  }

  /** Undefined: neither has it a record, nor does a plugin know it. */
  async get(name: string): Promise<VolumeRecord | undefined> {
    if (!isVolumeName(name)) return undefined
    const record = await this.#store.get(name)
    if (record !== undefined) return record
    const found = await this.#drivers.findUnknown(name)
    return found && recordOf(found.volume, found.driver.name)
  }

  /** What its driver says of it. Undefined: the driver has lost it. 404, 500: the driver cannot be asked. */
  async describe({ name, driver }: VolumeRecord): Promise<(DriverVolume & { scope: string }) | undefined> {
    const keeper = await this.#drivers.get(driver)
    const volume = await keeper.describe({ name })
    return volume && { ...volume, scope: await keeper.scope() }
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
    const isNamed = wish.name !== ''
    checkName(name)
    const existing = isNamed ? await this.#existing(name, wish.driver) : undefined
    if (existing !== undefined && existing.driver !== wish.driver && wish.driver)
      throw conflict(`conflict: volume name must be unique: it exists with driver "${existing.driver}"`)
    if (existing !== undefined) return existing
    const driver = await this.#drivers.get(wish.driver || 'local')
    const options = wish.options ?? {}
    driver.checkOptions(options)
    await driver.create(name, options)
    const record = {
      name,
      driver: driver.name,
      options: nullIfEmpty(options),
      labels: nullIfEmpty(isNamed ? wish.labels : { ...wish.labels, [anonymousLabel]: '' }),
      ...(!isNamed && wish.goesWith && { goesWith: wish.goesWith }),
      createdAt: new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
    }
    await this.#store.put(record)
    this.#tell('create', name, { driver: driver.name })
    return record
  }

  /** One that only a plugin knows becomes ours: it has been asked for by name. */
  async #existing(name: string, driver: string | undefined): Promise<VolumeRecord | undefined> {
    const record = await this.#store.get(name)
    if (record !== undefined || driver === 'local') return record
    const found = await this.get(name)
    if (found !== undefined) await this.#store.put(found)
    return found
  }

  /** Docker's 404 and, while containers use it, 409. By force a volume goes whose driver cannot be asked. */
  async remove(name: string, force: boolean): Promise<void> {
    await this.#lock.run(name, async () => {
      const record = await this.get(name)
      if (record === undefined) {
        if (force) return
        throw notFound(`get ${name}: no such volume`)
      }
      const users = await this.usersOf(name)
      if (users.length > 0) throw conflict(`remove ${name}: volume is in use - [${users.join(', ')}]`)
      await this.#removeLocked(record, force)
    })
  }

  async #removeLocked(record: VolumeRecord, force: boolean): Promise<void> {
    const { name } = record
    try {
      await (await this.#drivers.get(record.driver)).remove(record)
    } catch (error) {
      if (!(error instanceof HttpError)) throw error
      if (!force) throw new HttpError(error.status, `remove ${name}: ${error.message}`, { cause: error })
      this.#engine.log.warn({ err: error, volume: name }, 'a volume is forgotten; its driver could not remove it')
    }
    await this.#store.remove(name)
    await this.#users.removeAll(name)
    this.#tell('destroy', name, { driver: record.driver })
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

  async #ready(record: VolumeRecord): Promise<ReadyVolume> {
    const { name, labels } = record
    const driver = await this.#drivers.get(record.driver)
    const { mountpoint = '' } = (await driver.describe({ name })) ?? {}
    const isAnonymous = labels?.[anonymousLabel] !== undefined
    return { name, driver: driver.name, mountpoint, isAnonymous, needsMount: driver.needsMount(record) }
  }

  mount(name: string, containerId: string): Promise<string> {
    return this.#lock.run(name, async () => {
      const { record, driver } = await this.#withDriver(name)
      const data = await this.#mountFor(record, driver, containerId)
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

  async #withDriver(name: string): Promise<{ record: VolumeRecord; driver: VolumeDriver }> {
    const record = await this.get(name)
    if (record === undefined) throw notFound(`get ${name}: no such volume`)
    return { record, driver: await this.#drivers.get(record.driver) }
  }

  /** That somebody has it mounted is written down before. */
  async #mountFor(record: VolumeRecord, driver: VolumeDriver, id: string): Promise<string> {
    const others = (await this.#users.of(record.name)).filter(other => other !== id)
    await this.#users.add(record.name, id)
    try {
      return await driver.mount(record, { id, alone: others.length === 0 })
    } catch (error) {
      await this.#users.remove(record.name, id)
      throw error
    }
  }

  unmount(name: string, containerId: string): Promise<void> {
    return this.#lock.run(name, async () => {
      const users = await this.#users.of(name)
      if (!users.includes(containerId)) return
      const record = await this.get(name)
      if (record !== undefined) await this.#unmountFor(record, containerId, users)
      else await this.#users.remove(name, containerId)
      if (record !== undefined) this.#tell('unmount', name, { container: containerId, driver: record.driver })
    })
  }

  async #unmountFor(record: VolumeRecord, id: string, users: readonly string[]): Promise<void> {
    const driver = await this.#drivers.get(record.driver)
    await driver.unmount(record, { id, alone: !users.some(other => other !== id) })
    await this.#users.remove(record.name, id)
  }

  async #destination(name: string, containerId: string): Promise<string> {
    const containers = await this.#engine.containers.list()
    const mounts = containers.find(({ id }) => id === containerId)?.mounts ?? []
    return mounts.find(one => one.type === 'volume' && one.name === name)?.destination ?? ''
  }

  fill(name: string, rootfs: string, path: string): Promise<void> {
    return this.#lock.run(name, async () => {
      const { record, driver } = await this.#withDriver(name)
      if (!driver.needsMount(record)) return fillVolume(this.#store.folderOf(name), rootfs, path)
      // Nothing is mounted for nothing.
      if ((await resolveInRoot(rootfs, path)) === undefined) return
      const user = `fill-${randomBytes(8).toString('hex')}`
      const data = await this.#mountFor(record, driver, user)
      try {
        await fillMounted(data, rootfs, path)
      } finally {
        await this.#unmountFor(record, user, await this.#users.of(name))
      }
    })
  }

  async removeAnonymous(names: readonly string[]): Promise<void> {
    for (const name of names) {
      await this.#lock.run(name, async () => {
        const record = await this.#store.get(name)
        if (record?.labels?.[anonymousLabel] === undefined || (await this.usersOf(name)).length > 0) return
        await this.#removeLocked(record, false)
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

/** Of a volume that somebody else has made. */
export function recordOf({ name, createdAt }: DriverVolume, driver: string): VolumeRecord {
  return { name, driver, options: null, labels: null, createdAt }
}

function nullIfEmpty(map: Readonly<Record<string, string>> | undefined): Readonly<Record<string, string>> | null {
  return map === undefined || Object.keys(map).length === 0 ? null : map
}

/**
 * What is mounted for a container outside of it, volumes and what placed-mounts.ts is for: before it starts, and until it has
 * ended and will not come back by itself.
 */
import { KeyedLock } from '#api/concurrency/keyed-lock.ts'
import type { Engine } from '../engine/engine.ts'
import type { PlacedMounts } from './placed-mounts.ts'
import type { DockerRecord, MountPoint } from './record.ts'
import { rewrite } from './rewrite.ts'
import { isActive } from './state.ts'
import type { ContainerStore, Found } from './store.ts'

export interface VolumeMountsParts {
  engine: Pick<Engine, 'core' | 'volumes' | 'log'>
  store: ContainerStore
  placed: PlacedMounts
}

export class VolumeMounts {
  readonly #parts: VolumeMountsParts
  /** By container. */
  readonly #lock = new KeyedLock()
  /** Containers on their way up: an end that is told now was that of the run before. */
  readonly #starting = new Map<string, number>()

  constructor(parts: VolumeMountsParts) {
    this.#parts = parts
  }

  /** Takes away what containers have left, that ended or went while no gateway was there to see it. */
  async open(): Promise<void> {
    try {
      const containers = await this.#parts.store.all()
      const ids = new Set(containers.map(({ id }) => id))
      await this.#parts.placed.sweep(id => ids.has(id))
      for (const found of containers) if (needsHost(found)) await this.ended(found.id)
    } catch (error) {
      this.#parts.engine.log.warn({ err: error }, 'mounts of containers that are gone are left for later')
    }
  }

  /** Volumes are mounted while `start` runs, and stay so when the container has started. */
  async around<T>(found: Found, start: () => Promise<T>): Promise<T> {
    const { id } = found
    if (!needsHost(found)) return start()
    try {
      await this.#lock.run(id, () => {
        this.#starting.set(id, (this.#starting.get(id) ?? 0) + 1)
        return this.#mount(found)
      })
      return await start()
    } finally {
      const left = (this.#starting.get(id) ?? 1) - 1
      if (left > 0) this.#starting.set(id, left)
      else this.#starting.delete(id)
      // It may have ended before it had been seen to start.
      void this.ended(id)
    }
  }

  /** Where a plugin puts a volume is known when it has mounted it. */
  async #mount(found: Found): Promise<void> {
    const { core, volumes } = this.#parts.engine
    const sources = new Map<string, string>()
    for (const { Name = '' } of volumesOf(found))
      if (!sources.has(Name)) sources.set(Name, await volumes.mount(Name, found.id))
    const moved = ({ Type, Name = '', Source }: MountPoint) =>
      Type === 'volume' && (sources.get(Name) ?? Source) !== Source
    const mounts = found.record.mounts.map(point =>
      moved(point) ? { ...point, Source: sources.get(point.Name ?? '') ?? point.Source } : point,
    )
    const record = { ...found.record, mounts }
    if (found.record.mounts.some(moved)) await rewrite(core, found, record)
    await this.#parts.placed.place({ ...found, record })
  }

  /** Never throws: what stays mounted is taken away when the container goes, or the gateway starts. */
  async ended(id: string): Promise<void> {
    try {
      await this.#lock.run(id, async () => {
        if (this.#starting.has(id)) return
        const found = await this.#parts.store.peek(id)
        if (found === undefined || mayComeBack(found)) return
        await this.#parts.placed.release(found)
        for (const { Name = '' } of volumesOf(found)) await this.#parts.engine.volumes.unmount(Name, id)
      })
    } catch (error) {
      this.#parts.engine.log.warn({ id, err: error }, 'volumes of a container that has ended stay mounted')
    }
  }

  /** The container is gone. Anonymous volumes go with it where they are to. */
  async release({ id, record }: Mounting & Pick<Found, 'id'>, removeAnonymous: boolean): Promise<void> {
    const { volumes, log } = this.#parts.engine
    const used = volumesOf({ record })
    try {
      await this.#parts.placed.release({ id, record })
      for (const { Name = '' } of used) await volumes.unmount(Name, id)
      const anonymous = used.flatMap(({ Name = '', anonymous: isAnonymous }) => (isAnonymous ? [Name] : []))
      if (removeAnonymous && anonymous.length > 0) await volumes.removeAnonymous(anonymous)
    } catch (error) {
      log.warn({ id, err: error }, 'volumes of a removed container')
    }
  }
}

interface Mounting {
  record: Pick<DockerRecord, 'mounts'>
}

export const needsHost = (found: Mounting): boolean =>
  volumesOf(found).length > 0 || found.record.mounts.some(({ at }) => at !== undefined)

const volumesOf = ({ record }: Mounting): MountPoint[] =>
  record.mounts.filter(({ Type, Name }) => Type === 'volume' && Name)

/** The core starts it again without asking for its volumes: by its restart policy, with gantryd too. */
function mayComeBack({ state, record, core }: Found): boolean {
  const policy = record.hostConfig.RestartPolicy?.Name ?? ''
  if (isActive(state) || policy === 'always') return true
  return policy !== '' && policy !== 'no' && core.restart?.stoppedByHand !== true
}

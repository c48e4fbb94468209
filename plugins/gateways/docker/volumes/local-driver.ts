/** The driver `local`: a directory of the engine's own, or something that mount(8) would mount over it. */
import { messageOf } from '#api/errors/errors.ts'
import { mount, unmount } from '#api/sys/sys.ts'
import { serverError } from '../http/http-error.ts'
import type { DriverVolume, VolumeDriver, VolumeUse } from './driver.ts'
import { checkOptions, mountOf, needsMount, withoutPasswords } from './local-options.ts'
import type { VolumeRecord, VolumeStore } from './volume-record.ts'

export class LocalDriver implements VolumeDriver {
  readonly name = 'local'
  readonly checkOptions = checkOptions
  readonly #store: VolumeStore

  constructor(store: VolumeStore) {
    this.#store = store
  }

  /** Its directory comes with the record. */
  async create(): Promise<void> {}

  async remove(record: VolumeRecord): Promise<void> {
    if (this.needsMount(record)) await unmount(this.#store.dataOf(record.name))
  }

  async describe({ name }: Pick<VolumeRecord, 'name'>): Promise<DriverVolume | undefined> {
    return { name, mountpoint: this.#store.dataOf(name), createdAt: '' }
  }

  async scope(): Promise<string> {
    return 'local'
  }

  needsMount({ options }: VolumeRecord): boolean {
    return needsMount(options)
  }

  /** The first user mounts. */
  async mount(record: VolumeRecord, { alone }: VolumeUse): Promise<string> {
    const data = this.#store.dataOf(record.name)
    if (!this.needsMount(record) || !alone) return data
    // One that a killed process left is mounted anew: it may be half done.
    await unmount(data)
    try {
      await mount([await mountOf(record.options ?? {})], data)
    } catch (cause) {
      const reason = withoutPasswords(messageOf(cause))
      throw serverError(`error while mounting volume '${data}': failed to mount local volume: ${reason}`, { cause })
    }
    return data
  }

  async unmount(record: VolumeRecord, { alone }: VolumeUse): Promise<void> {
    if (this.needsMount(record) && alone) await unmount(this.#store.dataOf(record.name))
  }
}

/**
 * Who keeps the data of volumes: the engine itself (`local`), or a plugin. A driver knows volumes by name and remembers nothing
 * of containers: who uses a volume, and from when to when, is told to it by `volumes.ts`, one call at a time per volume.
 */
import type { VolumeRecord } from './volume-record.ts'

/** What a driver says of a volume. */
export interface DriverVolume {
  name: string
  /** On the host; empty while it is nowhere. */
  mountpoint: string
  /** RFC 3339; empty: not told. */
  createdAt: string
  /** Whatever the driver has to say, for `docker volume inspect`. */
  status?: Readonly<Record<string, unknown>>
}

export interface VolumeUse {
  /** Of the container, or of whoever else needs the data for a moment. */
  id: string
  /** Nobody else has it mounted. */
  alone: boolean
}

export interface VolumeDriver {
  readonly name: string
  /** 400 in Docker's words. */
  checkOptions(options: Readonly<Record<string, string>>): void
  /** Makes what a new volume needs beside its record. */
  create(name: string, options: Readonly<Record<string, string>>): Promise<void>
  remove(record: VolumeRecord): Promise<void>
  /** Undefined: the driver has it not. */
  describe(record: Pick<VolumeRecord, 'name'>): Promise<DriverVolume | undefined>
  /** `local`, or `global` for one that every host sees. */
  scope(): Promise<string>
  /** Whether the data are there only between mount and unmount. */
  needsMount(record: VolumeRecord): boolean
  /** Idempotent for one user. Answers where the data are. */
  mount(record: VolumeRecord, use: VolumeUse): Promise<string>
  /** Idempotent for one user. */
  unmount(record: VolumeRecord, use: VolumeUse): Promise<void>
}

/** What containers need of volumes. */

export interface VolumeWish {
  /** Empty: an anonymous volume, named by 64 random hexadecimal digits. */
  name: string
  driver?: string
  options?: Readonly<Record<string, string>>
  labels?: Readonly<Record<string, string>>
  /** Id of the container, not yet recorded, that it goes with when it is anonymous. */
  goesWith?: string
}

export interface ReadyVolume {
  name: string
  driver: string
  /** Directory on the host that holds its data; of a plugin's volume empty until it is mounted, and another each time. */
  mountpoint: string
  /** Its data are there only between `mount` and `unmount`. */
  needsMount: boolean
  isAnonymous: boolean
}

export interface EngineVolumes {
  /** The volume of that name, or a new one. Docker's 409 when it exists with another driver. */
  ensure(wish: VolumeWish): Promise<ReadyVolume>
  /** Undefined: there is none of that name. */
  find(name: string): Promise<ReadyVolume | undefined>
  /** Mounts what its driver has to mount (tmpfs, nfs, a plugin's); idempotent. Answers the mountpoint. */
  mount(name: string, containerId: string): Promise<string>
  /** The container does not have it mounted any more; unmounts when it was the last. Idempotent. */
  unmount(name: string, containerId: string): Promise<void>
  /**
   * An empty volume gets what the container's image has at `path`, with owners and modes; one that holds something is left as
   * it is. `rootfs`: a directory with the container's root, read only.
   */
  fill(name: string, rootfs: string, path: string): Promise<void>
  /** Removes anonymous volumes of a container that is gone; one that another container uses stays. */
  removeAnonymous(names: readonly string[]): Promise<void>
}

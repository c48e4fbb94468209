/** Drivers by name: `local`, and the plugins of the folders in the settings. */
import type { Logger } from '#api/log/log.ts'
import type { DockerPlugins } from '#sdk/docker-plugins/plugins.ts'
import { HttpError, notFound, serverError } from '../http/http-error.ts'
import type { DriverVolume, VolumeDriver } from './driver.ts'
import { PluginDriver, volumeSubsystem } from './plugin-driver.ts'

export interface PluginVolumes {
  /** With the driver's name. */
  volumes: (DriverVolume & { driver: string })[]
  /** Names of the drivers that have answered. */
  answered: Set<string>
  warnings: string[]
}

export class VolumeDrivers {
  readonly #local: VolumeDriver
  readonly #plugins: DockerPlugins
  readonly #log: Logger

  constructor(local: VolumeDriver, plugins: DockerPlugins, log: Logger) {
    this.#local = local
    this.#plugins = plugins
    this.#log = log
  }

  /** Docker's 404 for a driver that there is not; 500 for one that does not answer. */
  async get(name: string): Promise<VolumeDriver> {
    if (name === 'local') return this.#local
    const plugin = await this.#plugins.find(name, volumeSubsystem).catch(cause => {
      throw serverError(`error looking up volume plugin ${name}: ${cause.message}`, { cause })
    })
    if (plugin === undefined) throw notFound(`error looking up volume plugin ${name}: plugin "${name}" not found`)
    return new PluginDriver(plugin)
  }

  async names(): Promise<string[]> {
    const { plugins } = await this.#plugins.all(volumeSubsystem)
    return ['local', ...plugins.map(({ name }) => name)]
  }

  /** The volume of a plugin that nobody told us of: it may have been made by another host. */
  async findUnknown(name: string): Promise<{ driver: VolumeDriver; volume: DriverVolume } | undefined> {
    const { plugins } = await this.#plugins.all(volumeSubsystem)
    for (const plugin of plugins) {
      const driver = new PluginDriver(plugin)
      const volume = await driver.describe({ name }).catch(error => {
        this.#log.warn({ err: error, plugin: plugin.name }, 'a volume plugin could not be asked')
        return undefined
      })
      if (volume !== undefined) return { driver, volume }
    }
    return undefined
  }

  /** Whatever the plugins have. One that does not answer is a warning. */
  async listed(): Promise<PluginVolumes> {
    const { plugins, failures } = await this.#plugins.all(volumeSubsystem)
    const listed: PluginVolumes = { volumes: [], answered: new Set(), warnings: failures }
    for (const plugin of plugins) {
      try {
        const volumes = await new PluginDriver(plugin).list()
        listed.volumes.push(...volumes.map(volume => ({ ...volume, driver: plugin.name })))
        listed.answered.add(plugin.name)
      } catch (error) {
        if (!(error instanceof HttpError)) throw error
        listed.warnings.push(error.message)
      }
    }
    return listed
  }
}

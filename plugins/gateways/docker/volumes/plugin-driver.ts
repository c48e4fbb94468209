/** A plugin as a driver: Docker's volume plugin protocol (docs.docker.com, "Docker volume plugins"). */
import * as z from 'zod'
import { isGantryError } from '#api/errors/errors.ts'
import type { CallOptions, PluginClient } from '#sdk/docker-plugins/plugin-client.ts'
import { serverError } from '../http/http-error.ts'
import type { DriverVolume, VolumeDriver, VolumeUse } from './driver.ts'
import type { VolumeRecord } from './volume-record.ts'

export const volumeSubsystem = 'VolumeDriver'

/** Making a volume, or getting at it, may be a matter of another machine. */
const slow: CallOptions = { timeoutMs: 120_000 }

const text = z
  .string()
  .nullish()
  .transform(value => value ?? '')
const volumeSchema = z.object({
  Name: z.string(),
  Mountpoint: text,
  CreatedAt: text,
  Status: z.record(z.string(), z.unknown()).nullish(),
})
const mountpointSchema = z.object({ Mountpoint: text })
const capabilitiesSchema = z.object({ Capabilities: z.object({ Scope: text }).nullish() })

export class PluginDriver implements VolumeDriver {
  readonly #plugin: PluginClient

  constructor(plugin: PluginClient) {
    this.#plugin = plugin
  }

  get name(): string {
    return this.#plugin.name
  }

  /** Which options there are is the plugin's own matter. */
  checkOptions(): void {}

  async create(name: string, options: Readonly<Record<string, string>>): Promise<void> {
    await this.#call('Create', { Name: name, Opts: options }, slow)
  }

  async remove({ name }: VolumeRecord): Promise<void> {
    await this.#call('Remove', { Name: name }, slow)
  }

  /** A plugin has no way to tell "there is none" from other failures but its words. */
  async describe({ name }: Pick<VolumeRecord, 'name'>): Promise<DriverVolume | undefined> {
    try {
      const { Volume } = await this.#call('Get', { Name: name })
      return Volume === null || Volume === undefined ? undefined : this.#volume(Volume)
    } catch (error) {
      if (isRefusal(error)) return undefined
      throw error
    }
  }

  async list(): Promise<DriverVolume[]> {
    const { Volumes } = await this.#call('List', {})
    return Array.isArray(Volumes) ? Volumes.map(volume => this.#volume(volume)) : []
  }

  /** Plugins may do without this call. */
  async scope(): Promise<string> {
    const answer = await this.#call('Capabilities', {}).catch(() => ({}))
    const { data } = capabilitiesSchema.safeParse(answer)
    return data?.Capabilities?.Scope.toLowerCase() === 'global' ? 'global' : 'local'
  }

  needsMount(): boolean {
    return true
  }

  /** Plugins count their users themselves, by `ID`. */
  async mount({ name }: VolumeRecord, { id }: VolumeUse): Promise<string> {
    const { Mountpoint } = mountpointSchema.parse(await this.#call('Mount', { Name: name, ID: id }, slow))
    if (!Mountpoint.startsWith('/'))
      throw serverError(`VolumeDriver.Mount: plugin "${this.name}" has no absolute path for ${name}: "${Mountpoint}"`)
    return Mountpoint
  }

  async unmount({ name }: VolumeRecord, { id }: VolumeUse): Promise<void> {
    await this.#call('Unmount', { Name: name, ID: id }, slow)
  }

  #volume(value: unknown): DriverVolume {
    const { success, data } = volumeSchema.safeParse(value)
    if (!success) throw serverError(`plugin "${this.name}" tells of a volume without a name: ${JSON.stringify(value)}`)
    const { Name: name, Mountpoint: mountpoint, CreatedAt: createdAt, Status: status } = data
    return { name, mountpoint, createdAt, ...(status && { status }) }
  }

  /** 500 with the plugin's words, after the call's name, as Docker tells it. */
  async #call(verb: string, body: object, options?: CallOptions): Promise<Record<string, unknown>> {
    try {
      return await this.#plugin.call(`${volumeSubsystem}.${verb}`, body, options)
    } catch (error) {
      if (isGantryError(error)) throw serverError(error.message, { cause: error })
      throw error
    }
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof Error && isGantryError(error.cause, 'UNKNOWN')
}

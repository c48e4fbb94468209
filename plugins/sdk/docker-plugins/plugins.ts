/** The plugins of some folders: found when they are asked for, remembered while they stay where they were. */
import { findPlugin, listPlugins, type PluginAddress } from './discover.ts'
import { type CallOptions, PluginClient } from './plugin-client.ts'

/** A plugin that is only looked through is not waited for. */
const glance: CallOptions = { connectMs: 0, timeoutMs: 5000 }

export class DockerPlugins implements AsyncDisposable {
  readonly #folders: readonly string[]
  readonly #open = new Map<string, { address: PluginAddress; client: Promise<PluginClient> }>()

  constructor(folders: readonly string[]) {
    this.#folders = folders
  }

  /** Undefined: there is none of that name, or it does not implement the subsystem. UNAVAILABLE: it does not answer. */
  async find(name: string, subsystem: string): Promise<PluginClient | undefined> {
    const client = await this.#client(name)
    return client && (await client.activate()).includes(subsystem) ? client : undefined
  }

  /** All that implement the subsystem, and why others could not be asked. */
  async all(subsystem: string): Promise<{ plugins: PluginClient[]; failures: string[] }> {
    const plugins: PluginClient[] = []
    const failures: string[] = []
    for (const name of await listPlugins(this.#folders)) {
      try {
        const client = await this.#client(name)
        if (client && (await client.activate(glance)).includes(subsystem)) plugins.push(client)
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error))
      }
    }
    return { plugins, failures }
  }

  async #client(name: string): Promise<PluginClient | undefined> {
    const address = await findPlugin(this.#folders, name)
    const known = this.#open.get(name)
    if (known !== undefined && address?.url === known.address.url) return known.client
    this.#open.delete(name)
    void known?.client.then(client => client[Symbol.asyncDispose]())
    if (address === undefined) return undefined
    const client = PluginClient.open(address)
    client.catch(() => this.#open.delete(name))
    this.#open.set(name, { address, client })
    return client
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { client } of this.#open.values()) await (await client)[Symbol.asyncDispose]()
    this.#open.clear()
  }
}

/** Makes sure that a plugin knows a network before it is used. */
import { internal } from '#api/errors/errors.ts'
import type { NetworkBackend, NetworkBackends } from './backend.ts'
import type { NetworkRow, NetworkStore } from './network-store.ts'

export class MadeNetworks {
  readonly #store: NetworkStore
  readonly #backends: NetworkBackends
  /** Creations of this process, by network id; done ones answer at once. */
  readonly #made = new Map<string, Promise<NetworkRow>>()

  constructor(store: NetworkStore, backends: NetworkBackends) {
    this.#store = store
    this.#backends = backends
  }

  /** NOT_FOUND: no such driver. */
  backend(driver: string): NetworkBackend {
    return this.#backends(driver)
  }

  /** The network as its plugin answered it; asked once per process, and again after {@link forget}. */
  ensure(row: NetworkRow): Promise<NetworkRow> {
    const { id } = row.network
    const known = this.#made.get(id)
    if (known) return known
    const making = this.#make(row)
    this.#made.set(id, making)
    making.catch(() => this.#made.delete(id))
    return making
  }

  /** The plugin turned out not to know it, or it was removed. */
  forget(id: string): void {
    this.#made.delete(id)
  }

  async #make(row: NetworkRow): Promise<NetworkRow> {
    const { network } = await this.backend(row.driver).createNetwork({ network: row.network })
    if (network === undefined) throw internal(`network plugin "${row.driver}" answered without a network`)
    if (row.isMade) return row
    const made = { ...row, network, isMade: true }
    this.#store.put(made)
    return made
  }
}

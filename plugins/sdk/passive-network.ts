/**
 * A network plugin that makes nothing in the kernel (`host`, `none`): it keeps durable records of its networks and
 * attachments, so that the contract holds, and describes what is there.
 */
import { isDeepStrictEqual } from 'node:util'
import { alreadyExists, failedPrecondition, notFound } from '#api/errors/errors.ts'
import type { Store } from '#api/store/store.ts'
import type { AddRequest, Attachment, CheckRequest, DelRequest, Network, NetworkPlugin, Result } from './network.ts'

export interface PassiveNetworkParts {
  readonly store: Store
  /** Refuses requests that ask for what the network cannot give. */
  check(request: AddRequest): void
  /** What an attached container sees. */
  describe(request: AddRequest): Promise<Result>
}

type Name = Attachment & { readonly networkId: string }

export class PassiveNetwork implements NetworkPlugin {
  readonly #store: Store
  readonly #check: PassiveNetworkParts['check']
  readonly #describe: PassiveNetworkParts['describe']

  constructor({ store, check, describe }: PassiveNetworkParts) {
    this.#store = store
    this.#check = check
    this.#describe = describe
  }

  async createNetwork(network: Network): Promise<Network> {
    return this.#store.write(tx => {
      const known = tx.get<Network>(networkKey(network.id))
      if (known && !isDeepStrictEqual(known, network))
        throw alreadyExists(`network ${network.id} with a different configuration`)
      tx.put(networkKey(network.id), network)
      return network
    })
  }

  async removeNetwork(networkId: string): Promise<void> {
    const [attached] = this.#attachments(networkId)
    if (attached) throw failedPrecondition(`network ${networkId} has container ${attached.containerId} attached`)
    this.#store.write(tx => tx.delete(networkKey(networkId)))
  }

  async listNetworks(): Promise<Network[]> {
    return this.#store.read(tx => Array.from(tx.list<Network>(['network']), ({ value }) => value))
  }

  async add(request: AddRequest): Promise<Result> {
    const { networkId, containerId, interfaceName } = request
    if (!this.#store.read(tx => tx.get(networkKey(networkId)))) throw notFound(`network ${networkId}`)
    this.#check(request)
    const result = await this.#describe(request)
    this.#store.write(tx => tx.put(attachmentKey(request), { containerId, interfaceName, request }))
    return result
  }

  async del(request: DelRequest): Promise<void> {
    this.#store.write(tx => tx.delete(attachmentKey(request)))
  }

  async check(request: CheckRequest): Promise<void> {
    const known = this.#store.read(tx => tx.get<{ request: AddRequest }>(attachmentKey(request)))
    if (known === undefined)
      throw notFound(`attachment of container ${request.containerId} to network ${request.networkId}`)
    await this.#describe({ ...known.request, netnsPath: request.netnsPath || known.request.netnsPath }).catch(cause => {
      throw failedPrecondition(`attachment of ${request.containerId}: its network namespace is gone`, { cause })
    })
  }

  async status(): Promise<void> {}

  async gc(networkId: string, valid: readonly Attachment[]): Promise<string[]> {
    const keep = new Set(valid.map(({ containerId, interfaceName }) => `${containerId} ${interfaceName}`))
    const ended = this.#attachments(networkId).filter(
      ({ containerId, interfaceName }) => !keep.has(`${containerId} ${interfaceName}`),
    )
    this.#store.write(tx => {
      for (const attachment of ended) tx.delete(attachmentKey({ ...attachment, networkId }))
    })
    return ended.map(({ containerId, interfaceName }) => `attachment of ${containerId} (${interfaceName})`)
  }

  async close(): Promise<void> {
    await this.#store.close()
  }

  #attachments(networkId: string): Attachment[] {
    return this.#store.read(tx => Array.from(tx.list<Attachment>(['attachment', networkId]), ({ value }) => value))
  }
}

function networkKey(id: string) {
  return ['network', id] as const
}

function attachmentKey({ networkId, containerId, interfaceName }: Name) {
  return ['attachment', networkId, containerId, interfaceName] as const
}

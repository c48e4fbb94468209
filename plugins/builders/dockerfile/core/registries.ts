/** What a build gets from registries and gives to them, by the core's transfers. */

import { ImageStore } from '#api/gen/containerd/types/transfer/imagestore.ts'
import { OCIRegistry } from '#api/gen/containerd/types/transfer/registry.ts'
import type { BuildOptions } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { answerCredentials } from '#api/streaming/answer-credentials.ts'
import { anyOf } from '#api/streaming/named-stream.ts'
import type { Platform } from '#api/types/platform.ts'
import { parseReference } from '#api/types/reference.ts'
import { registryDomain } from '#api/types/registry-domain.ts'
import type { Core } from './clients.ts'

export interface PullRequest {
  readonly reference: string
  /** Of the record it gets. */
  readonly name: string
  /** None: all. */
  readonly platforms: readonly Platform[]
  /** Snapshotter; undefined: it is not unpacked. */
  readonly unpackIn?: string
}

export class Registries {
  readonly #core: Core
  readonly #options: Pick<BuildOptions, 'registryHostDirectories' | 'registryCredentials'>
  readonly #lease: string

  constructor(core: Core, options: BuildOptions, lease: string) {
    this.#core = core
    this.#options = options
    this.#lease = lease
  }

  /** Its content is held by the build's lease. Fails as the core's transfers do. */
  async pull({ reference, name, platforms, unpackIn }: PullRequest, signal: AbortSignal): Promise<void> {
    const wanted = platforms.map(platform => ({ osVersion: '', osFeatures: [], ...platform }))
    const unpacks = unpackIn === undefined ? [] : wanted.map(platform => ({ platform, snapshotter: unpackIn }))
    const destination = ImageStore.fromPartial({ name, platforms: wanted, unpacks })
    await this.#withRegistry(reference, source =>
      this.#core.transfer.transfer({ source, destination: stored(destination) }, { lease: this.#lease, signal }),
    )
  }

  /** `name`: a record of the core's. */
  async push(name: string, reference: string, signal: AbortSignal): Promise<void> {
    const source = stored(ImageStore.fromPartial({ name }))
    await this.#withRegistry(reference, destination =>
      this.#core.transfer.transfer({ source, destination }, { lease: this.#lease, signal }),
    )
  }

  async #withRegistry(reference: string, body: (registry: ReturnType<typeof anyOf>) => Promise<unknown>) {
    const { registryHostDirectories, registryCredentials } = this.#options
    const hostDir = registryHostDirectories[parseReference(reference).domain] ?? ''
    await using credentials = await answerCredentials(this.#core.streaming, host => {
      const domain = registryDomain(host)
      return Object.hasOwn(registryCredentials, domain) ? registryCredentials[domain] : undefined
    })
    const registry = OCIRegistry.fromPartial({ reference, resolver: { hostDir, authStream: credentials.id } })
    await body(anyOf('containerd.types.transfer.OCIRegistry', OCIRegistry, registry))
  }
}

function stored(image: ImageStore) {
  return anyOf('containerd.types.transfer.ImageStore', ImageStore, image)
}

/** A launched container as core/networks' connections see it: the networks of its record, and where it lives. */
import { failedPrecondition } from '#api/errors/errors.ts'
import { ContainerConfig, NetworkAttachment } from '#api/gen/gantry/services/containers/v1/containers.ts'
import type { Container, Containers } from '#core/containers/containers.ts'
import type { AttachmentRequest, ContainerNetworks, ContainerWishes } from '#core/networks/networks.ts'
import { networkMode } from '#core/spec/spec.ts'
import type { ContainerNames } from './container-names.ts'
import { launchConfigAny, launchConfigOf } from './launch-config.ts'
import type { PlacesOf } from './places.ts'

export interface ContainerNetworksParts {
  readonly containers: Containers
  readonly names: ContainerNames
  readonly placesOf: PlacesOf
  readonly hasTask: (ns: string, id: string) => boolean
}

/** What a container says to all of its networks. */
export function containerWishes(config: ContainerConfig): ContainerWishes {
  return { ...(config.dns ? { dns: config.dns } : {}), name: config.name }
}

export class LaunchedContainerNetworks {
  readonly #parts: ContainerNetworksParts

  constructor(parts: ContainerNetworksParts) {
    this.#parts = parts
  }

  /** NOT_FOUND; FAILED_PRECONDITION: it has no namespace of its own. */
  async find(ns: string, reference: string): Promise<ContainerNetworks> {
    const { names, placesOf, hasTask } = this.#parts
    const id = names.find(ns, reference)
    const { config } = await this.#configOf(ns, id)
    const mode = networkMode(config)
    if (mode.kind === 'container')
      throw failedPrecondition(`container "${reference}" shares the network of ${mode.id}: connect that one`)
    if (mode.kind === 'host')
      throw failedPrecondition(`container "${reference}" uses the host's network: it can join no other`)
    return {
      id,
      requests: config.networks,
      wishes: containerWishes(config),
      netnsPath: hasTask(ns, id) ? placesOf(ns, id).netns : undefined,
    }
  }

  /** Records the networks for later starts. */
  async record(ns: string, id: string, requests: readonly AttachmentRequest[]): Promise<void> {
    const { container, config } = await this.#configOf(ns, id)
    const networks = requests.map(attachmentOf)
    const own = launchConfigAny(ContainerConfig.fromPartial({ ...config, networks }))
    const changed = { ...container, extensions: { ...container.extensions, [own.typeUrl]: own } }
    await this.#parts.containers.update(ns, changed, ['extensions'])
  }

  async #configOf(ns: string, id: string): Promise<{ container: Container; config: ContainerConfig }> {
    const container = await this.#parts.containers.get(ns, id)
    const config = launchConfigOf(container)
    if (config) return { container, config }
    throw failedPrecondition(`container "${id}" was made by another client, which looks after its networks itself`)
  }
}

function attachmentOf({
  addresses = [],
  aliases = [],
  ports = [],
  links = {},
  options = {},
  ...rest
}: AttachmentRequest) {
  const lists = {
    addresses: [...addresses],
    aliases: [...aliases],
    ports: [...ports],
    links: { ...links },
    options: { ...options },
  }
  const { network, interfaceName = '', mac = '', gatewayPriority = 0 } = rest
  return NetworkAttachment.fromPartial({ network, interfaceName, mac, gatewayPriority, ...lists })
}

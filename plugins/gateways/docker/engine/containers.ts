/** What the other nouns need of containers. */
import type { PortMapping } from '#api/gen/gantry/network/v1/network.ts'
import type { Input } from '#api/rpc/definition.ts'

export interface ContainerMountSummary {
  type: 'bind' | 'volume' | 'tmpfs' | 'image' | 'npipe' | 'cluster'
  /** Volume name; empty for other types. */
  name: string
  source: string
  destination: string
}

/** A container in few words. */
export interface ContainerSummary {
  id: string
  /** Without the leading slash. */
  name: string
  /** As the client wrote it. */
  image: string
  /** `sha256:…` of the image's configuration. */
  imageId: string
  /** Name of the image record in the core. */
  imageRecord: string
  state: 'created' | 'running' | 'paused' | 'restarting' | 'exited' | 'dead' | 'removing'
  labels: Readonly<Record<string, string>>
  mounts: readonly ContainerMountSummary[]
  /** Names or ids of networks that it is to be attached to when it runs. */
  networks: readonly string[]
}

export interface EngineContainers {
  /** By id, name, or a prefix of the id. Docker's 404, and 400 for a prefix that several have. */
  find(reference: string): Promise<ContainerSummary>
  /** All, also those that do not run. */
  list(): Promise<readonly ContainerSummary[]>
  /** The ports that its creator wished to be published, on whatever network it is. */
  publishedPorts(id: string): Promise<Input<PortMapping>[]>
  /** Remembers what was asked for when it joined a network (EndpointConfig), or forgets it when it left. */
  noteEndpoint(id: string, network: string, wish: object | undefined): Promise<void>
  /** Of one that does not run: it is to join a network that is not there yet. */
  joinLate(id: string, network: string, wish: object): Promise<void>
  /** It no longer is to join a network that is not there. */
  leaveLate(id: string, network: string): Promise<void>
}

/** What the verbs of images share. */
import type { Engine } from '../engine/engine.ts'
import type { RegistryHosts } from '../registry/host-files.ts'
import type { Catalog } from './catalog.ts'
import type { LayerSizes } from './layer-sizes.ts'

export interface ImageRoom {
  readonly engine: Engine
  readonly catalog: Catalog
  readonly sizes: LayerSizes
  readonly registries: RegistryHosts
}

/** Makes the room of images. */
import type { Engine } from '../engine/engine.ts'
import type { RegistryHosts } from '../registry/host-files.ts'
import { Catalog } from './catalog.ts'
import { LayerSizes } from './layer-sizes.ts'
import type { ImageRoom } from './room.ts'

export function openImages(engine: Engine, registries: RegistryHosts): ImageRoom {
  return { engine, registries, catalog: new Catalog(engine.core), sizes: new LayerSizes(engine.core) }
}

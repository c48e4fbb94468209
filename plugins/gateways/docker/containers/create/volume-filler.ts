/** New volumes get what the image has at their place. */

import { readdir } from 'node:fs/promises'
import type { Engine } from '../../engine/engine.ts'
import type { MountPoint } from '../record.ts'
import { withImageRoot } from '../roots.ts'
import type { Found } from '../store.ts'
import { sourceOf } from './mounts.ts'

export interface VolumeFiller {
  /** By the image of a recorded container, which is unpacked. Nothing is mounted when there is nothing to fill. */
  fill(found: Found): Promise<void>
}

export class ImageFiller implements VolumeFiller {
  readonly #engine: Pick<Engine, 'core' | 'volumes' | 'settings' | 'log'>

  constructor(engine: Pick<Engine, 'core' | 'volumes' | 'settings' | 'log'>) {
    this.#engine = engine
  }

  async fill(found: Found): Promise<void> {
    const volumes: MountPoint[] = []
    for (const point of found.record.mounts) if (await mayBeFilled(point)) volumes.push(point)
    if (volumes.length === 0) return
    await withImageRoot(this.#engine, found, async root => {
      for (const { Name = '', Destination } of volumes) await this.#engine.volumes.fill(Name, root, Destination)
    })
  }
}

/** Whether a volume that has to be mounted is empty is seen when it is. */
async function mayBeFilled(point: MountPoint): Promise<boolean> {
  if (point.Type !== 'volume' || !point.Name || point.noCopy || point.subpath) return false
  return point.needsMount === true || isEmpty(sourceOf(point))
}

async function isEmpty(directory: string): Promise<boolean> {
  return (await readdir(directory).catch(() => ['?'])).length === 0
}

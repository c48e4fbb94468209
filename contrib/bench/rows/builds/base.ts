/** The image that everyone builds on: imported, for buildah wants a history that fits the layers. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { busyboxLayer, makeImage } from '../../../../test/fixtures/make-image.ts'

export const base = 'test.example/bench-base:1'

/** Who can run `import` as docker and podman have it. */
export interface Importer {
  command(...args: string[]): Promise<undefined>
}

/** On each of them under the name `base`; `folder` exists. */
export async function importBase(folder: string, importers: readonly Importer[]): Promise<void> {
  const [layer] = makeImage({ layers: [busyboxLayer()], compression: 'none' }).layers
  const path = join(folder, 'base.tar')
  await writeFile(path, layer?.bytes ?? '')
  for (const importer of importers) await importer.command('import', '--change', 'ENV PATH=/bin', path, base)
}

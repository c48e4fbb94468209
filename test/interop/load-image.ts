import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { busyboxLayer, layoutTar, makeImage } from '../fixtures/make-image.ts'
import type { Ctr } from './ctr.ts'

/** The image all suites here use: two layers, so that snapshots have parents. */
export function testImage() {
  const motd = [{ path: 'etc/motd', content: 'hi\n' }]
  return makeImage({ layers: [busyboxLayer(), motd], config: { Cmd: ['sh'], Env: ['PATH=/bin'] } })
}

/** `ctr images import` of it; answers its name. */
export async function loadImage(ctr: Ctr, folder: string, flags: string[] = []): Promise<string> {
  const name = 'test.example/busybox:1'
  const file = join(folder, 'busybox.tar')
  await writeFile(file, layoutTar([{ image: testImage(), name }]))
  await ctr.ok('images', 'import', ...flags, file)
  return name
}

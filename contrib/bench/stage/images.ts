/** The images that are compared: the same bytes for everyone. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { busyboxLayer, dockerArchiveTar, layoutTar, makeImage } from '../../../test/fixtures/make-image.ts'

export const busybox = 'test.example/busybox:1'

const config = { Cmd: ['sh'], Env: ['PATH=/bin'] }

/** For `docker load` and `podman load`: layers uncompressed. */
export async function busyboxArchive(folder: string): Promise<string> {
  const path = join(folder, 'busybox.docker.tar')
  const image = makeImage({ layers: [busyboxLayer()], config, compression: 'none', flavor: 'docker' })
  await writeFile(path, dockerArchiveTar([{ image, tags: [busybox] }]))
  return path
}

/** For `ctr images import`. */
export async function busyboxLayout(folder: string): Promise<string> {
  const path = join(folder, 'busybox.oci.tar')
  await writeFile(path, layoutTar([{ image: makeImage({ layers: [busyboxLayer()], config }), name: busybox }]))
  return path
}

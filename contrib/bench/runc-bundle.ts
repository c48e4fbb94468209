/** A bundle of the same root and the same kind of spec for `runc run`: busybox `true`, host network. */
import { execFileSync } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { busyboxLayer, makeTar } from '../../test/fixtures/make-image.ts'

export async function runcBundle(folder: string): Promise<string> {
  const root = join(folder, 'rootfs')
  await mkdir(root, { recursive: true })
  execFileSync('tar', ['-x', '-C', root], { input: makeTar(busyboxLayer()) })
  execFileSync('runc', ['spec', '--bundle', folder])
  const path = join(folder, 'config.json')
  const spec = JSON.parse(await readFile(path, 'utf8'))
  spec.process.terminal = false
  spec.process.args = ['true']
  spec.linux.namespaces = spec.linux.namespaces.filter((namespace: { type: string }) => namespace.type !== 'network')
  await writeFile(path, JSON.stringify(spec))
  return folder
}

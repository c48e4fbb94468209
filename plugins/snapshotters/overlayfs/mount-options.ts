/** Which options overlays get: kernel documentation, filesystems/overlayfs.rst. */
import { readFile } from 'node:fs/promises'

export interface OverlayConfig {
  readonly mount_options: readonly string[]
  readonly metacopy: boolean
}

/**
 * Sets of options, best first; the first that the kernel takes is used for all mounts.
 *
 * - `index=off`: with it on, the kernel refuses a lower directory that another overlay has used as upper (EBUSY, ESTALE).
 * - `redirect_dir=on`: a directory of a lower layer can be renamed; without it rename(2) fails with EXDEV. Layers cannot
 *   smuggle redirects in, because unpacking drops overlay's own attributes.
 * - `userxattr` inside a user namespace, where trusted.* attributes are refused; it excludes both of the above and below.
 */
export async function mountOptions({ mount_options: configured, metacopy }: OverlayConfig): Promise<string[][]> {
  const names = new Set(configured.map(option => option.split('=', 1)[0] ?? ''))
  const unless = (options: readonly string[]) => options.filter(option => !names.has(option.split('=', 1)[0] ?? ''))
  const always = unless(['index=off'])
  if (names.has('userxattr') || (await needsUserXattr())) return [[...always, ...unless(['userxattr']), ...configured]]
  const full = unless(['redirect_dir=on', ...(metacopy ? ['metacopy=on'] : [])])
  return [
    [...always, ...full, ...configured],
    [...always, ...configured],
  ]
}

const wholeIdRange = /^\s*0\s+0\s+4294967295\s*$/

/** True inside a user namespace. */
async function needsUserXattr(): Promise<boolean> {
  return !wholeIdRange.test(await readFile('/proc/self/uid_map', 'utf8'))
}

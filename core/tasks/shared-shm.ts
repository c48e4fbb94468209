/**
 * Shared memory that other containers may join: a tmpfs in the bundle of the container that owns it, which goes with its task.
 * Who has joined keeps its own mount of it until it ends itself.
 */
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { failedPrecondition } from '#api/errors/errors.ts'
import { mount, unmount } from '#api/sys/sys.ts'
import { shmOptions } from '#core/spec/spec.ts'
import type { Bundle } from './bundle.ts'

/** Makes it in a claimed bundle and answers its path. */
export async function makeShm(bundle: Bundle, sizeBytes: bigint): Promise<string> {
  const path = shmPath(bundle.path)
  await mkdir(path, { mode: 0o755 })
  await mount([{ type: 'tmpfs', source: 'shm', target: '', options: shmOptions(sizeBytes) }], path)
  return path
}

/** That of a running container. FAILED_PRECONDITION (Docker's words): it has none to share. */
export function joinShm(donor: Bundle): string {
  const path = shmPath(donor.path)
  if (existsSync(path)) return path
  const hint = 'non-shareable IPC (hint: use IpcMode:shareable for the donor container)'
  throw failedPrecondition(`can't join IPC of container ${donor.id}: ${hint}`)
}

/** Lets go of it in a bundle that is on its way out; also where there is none. */
export async function removeShm(bundlePath: string): Promise<void> {
  await unmount(shmPath(bundlePath), { detach: true })
}

function shmPath(bundlePath: string): string {
  return join(bundlePath, 'shm')
}

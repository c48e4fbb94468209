/** Pins of network namespaces, `<folder>/<tenant namespace>/<container>`, of containers that are not there. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { removeNetns } from '#api/sys/sys.ts'
import type { ContainerRef } from './networks.ts'

/** Mounted or not; answers a line for each. */
export async function collectPins(
  folder: string,
  { isAlive, dryRun }: { isAlive(container: ContainerRef): Promise<boolean>; dryRun: boolean },
): Promise<string[]> {
  const found: string[] = []
  for (const namespace of await readdir(folder).catch(() => []))
    for (const containerId of await readdir(join(folder, namespace)).catch(() => [])) {
      if (await isAlive({ namespace, containerId })) continue
      const path = join(folder, namespace, containerId)
      if (!dryRun) await removeNetns(path)
      found.push(`network namespace ${path}`)
    }
  return found
}

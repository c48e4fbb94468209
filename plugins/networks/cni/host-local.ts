/**
 * GC for the address manager `host-local`, which had none before version 1.6 of the reference binaries: a file per
 * address, named after it, with the container's id and interface in it.
 */
import { readdir, readFile, rm } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import type { Conflist } from './conflist.ts'
import type { CniTarget } from './runtime.ts'

const defaultDirectory = '/var/lib/cni/networks'

/** Frees addresses of containers whose id begins with `prefix` and that are not in `kept`; a line each. */
export async function releaseAddresses(
  list: Conflist,
  prefix: string,
  kept: readonly Pick<CniTarget, 'containerId' | 'interfaceName'>[],
): Promise<string[]> {
  const owners = new Set(kept.map(({ containerId, interfaceName }) => `${containerId} ${interfaceName}`))
  const removed = await Promise.all(directories(list).map(directory => release(directory, prefix, owners)))
  return removed.flat()
}

function directories(list: Conflist): string[] {
  return list.plugins.flatMap(plugin => {
    const ipam = plugin.ipam as { type?: string; dataDir?: string } | undefined
    return ipam?.type === 'host-local' ? [join(ipam.dataDir ?? defaultDirectory, list.name)] : []
  })
}

async function release(directory: string, prefix: string, owners: ReadonlySet<string>): Promise<string[]> {
  const removed: string[] = []
  for (const file of await readdir(directory).catch(() => [])) {
    if (isIP(file.replaceAll('-', ':')) === 0 && isIP(file) === 0) continue
    const path = join(directory, file)
    const [containerId = '', interfaceName = ''] = (await readFile(path, 'utf8').catch(() => '')).split(/\r?\n/)
    if (!containerId.startsWith(prefix) || owners.has(`${containerId} ${interfaceName}`)) continue
    await rm(path, { force: true })
    removed.push(`address ${file} of ${containerId} (host-local)`)
  }
  return removed
}

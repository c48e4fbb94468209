import { isGantryError } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import type { SnapshotInfo, SnapshotterBackend } from './snapshots.ts'

/** Asked once, after everything was listed: what a call makes meanwhile is either not in the list or wanted. */
type Wanted = () => Promise<(info: SnapshotInfo) => boolean>

/** Removes from a backend what is not wanted, children before parents, then lets it clean up. */
export async function sweepBackend(backend: SnapshotterBackend, wanted: Wanted, logger: Logger): Promise<void> {
  const names = (await unwanted(backend, wanted)).map(({ name }) => name)
  await removeFromBackend(backend, names, logger)
}

/** Removes in this order, children before parents, then lets the backend clean up. False: something is still in use. */
export async function removeFromBackend(
  backend: SnapshotterBackend,
  names: readonly string[],
  logger: Logger,
): Promise<boolean> {
  let isGone = true
  for (const name of names) isGone = (await remove(backend, name, logger)) && isGone
  await backend.cleanup().catch((error: unknown) => {
    if (!isGantryError(error, 'NOT_IMPLEMENTED')) throw error
  })
  return isGone
}

/** What a backend holds that is not wanted, children before parents. */
export async function unwanted(backend: SnapshotterBackend, wanted: Wanted): Promise<SnapshotInfo[]> {
  const all: SnapshotInfo[] = []
  for await (const info of backend.list()) all.push(info)
  const isWanted = await wanted()
  return childrenFirst(all.filter(info => !isWanted(info)))
}

/** One that still has children is left for the next sweep (false); one already gone is as good as removed. */
async function remove(backend: SnapshotterBackend, name: string, logger: Logger): Promise<boolean> {
  try {
    await backend.remove(name)
    logger.debug({ key: name }, 'removed a snapshot from the backend')
    return true
  } catch (error) {
    if (isGantryError(error, 'NOT_FOUND')) return true
    if (!isGantryError(error, 'FAILED_PRECONDITION')) throw error
    logger.warn({ err: error, key: name }, 'a snapshot is still in use')
    return false
  }
}

function childrenFirst(all: SnapshotInfo[]): SnapshotInfo[] {
  const byParent = Map.groupBy(all, ({ parent }) => parent)
  const ordered: SnapshotInfo[] = []
  const names = new Set(all.map(({ name }) => name))
  const queue = all.filter(({ parent }) => parent === '' || !names.has(parent))
  for (let info = queue.pop(); info !== undefined; info = queue.pop()) {
    ordered.push(info)
    queue.push(...(byParent.get(info.name) ?? []))
  }
  return ordered.reverse()
}

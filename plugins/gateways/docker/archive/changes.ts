/** `docker diff`: what a container has changed of its image, read from overlayfs' upper directory. */
import { lstat, readdir } from 'node:fs/promises'
import { isGantryError } from '#api/errors/errors.ts'
import { getXattr } from '#api/sys/sys.ts'
import { imageSnapshot } from '../containers/roots.ts'
import type { Found } from '../containers/store.ts'
import type { Engine } from '../engine/engine.ts'
import { notImplemented } from '../http/http-error.ts'

/** Docker's numbers. */
const kind = { modified: 0, added: 1, deleted: 2 } as const

/** Made for every container to mount at; Docker has them in a layer of their own, which it does not show. */
const mountPlaces = new Set([
  ...['/dev', '/dev/console', '/dev/pts', '/dev/shm', '/proc', '/sys', '/.dockerenv'],
  ...['/etc/hosts', '/etc/hostname', '/etc/resolv.conf', '/etc/mtab'],
])

interface Change {
  Path: string
  Kind: number
}

/** By path; `null` for none, as Docker. 501 for a snapshotter that does not work by overlays. */
export async function changesOf({ core }: Pick<Engine, 'core'>, found: Found): Promise<Change[] | null> {
  const { snapshotter } = imageSnapshot(found)
  const answer = await core.snapshots.mounts({ snapshotter, key: found.id }).catch(error => {
    if (isGantryError(error, 'NOT_FOUND')) return undefined
    throw error
  })
  if (!answer) return null
  const overlay = answer.mounts.find(({ type }) => type === 'overlay')
  const upper = option(overlay?.options ?? [], 'upperdir')
  if (upper === undefined) throw notImplemented(`diff of a container on snapshotter "${snapshotter}"`)
  const lowers = (option(overlay?.options ?? [], 'lowerdir') ?? '').split(':')
  const changes: Change[] = []
  await walk(upper, lowers, '', changes)
  return changes.length === 0 ? null : changes.sort((a, b) => (a.Path < b.Path ? -1 : 1))
}

function option(options: readonly string[], name: string): string | undefined {
  return options.find(word => word.startsWith(`${name}=`))?.slice(name.length + 1)
}

async function walk(upper: string, lowers: readonly string[], path: string, changes: Change[]): Promise<void> {
  for (const name of await readdir(`${upper}${path}`)) {
    const child = `${path}/${name}`
    const stats = await lstat(`${upper}${child}`)
    if (stats.isCharacterDevice() && stats.rdev === 0) {
      changes.push({ Path: child, Kind: kind.deleted })
      continue
    }
    const existed = await existsBelow(lowers, child)
    if (!existed && mountPlaces.has(child)) continue
    const own: Change[] = [{ Path: child, Kind: existed ? kind.modified : kind.added }]
    // An opaque directory hides everything below: what is in it is new.
    if (stats.isDirectory()) await walk(upper, (await isOpaque(`${upper}${child}`)) ? [] : lowers, child, own)
    const isOnlyHolder = own.length === 1 && existed && child === '/etc'
    if (!isOnlyHolder) changes.push(...own)
  }
}

async function existsBelow(lowers: readonly string[], path: string): Promise<boolean> {
  for (const lower of lowers) {
    const stats = await lstat(`${lower}${path}`).catch(() => undefined)
    if (stats) return !(stats.isCharacterDevice() && stats.rdev === 0)
  }
  return false
}

async function isOpaque(path: string): Promise<boolean> {
  return (await getXattr(path, 'trusted.overlay.opaque').catch(() => Buffer.alloc(0))).toString() === 'y'
}

/** The header that tells what a path of a container is, in Go's file modes. */

import type { Stats } from 'node:fs'
import { basename } from 'node:path'
import { type Entry, linkTarget } from './root-files.ts'

export const pathStatHeader = 'X-Docker-Container-Path-Stat'

/** Bits of Go's fs.FileMode. */
const goMode = {
  directory: 2 ** 31,
  symlink: 2 ** 27,
  device: 2 ** 26,
  pipe: 2 ** 25,
  socket: 2 ** 24,
  setuid: 2 ** 23,
  setgid: 2 ** 22,
  characterDevice: 2 ** 21,
  sticky: 2 ** 20,
} as const

export async function pathStat(entry: Entry): Promise<string> {
  const { stats, path } = entry
  const stat = {
    name: path === '/' ? '/' : basename(path),
    size: stats.size,
    mode: goModeOf(stats),
    mtime: stats.mtime.toISOString(),
    linkTarget: await linkTarget(entry),
  }
  return Buffer.from(JSON.stringify(stat)).toString('base64')
}

function goModeOf(stats: Stats): number {
  let mode = stats.mode & 0o777
  if (stats.isDirectory()) mode += goMode.directory
  if (stats.isSymbolicLink()) mode += goMode.symlink
  if (stats.isBlockDevice()) mode += goMode.device
  if (stats.isCharacterDevice()) mode += goMode.device + goMode.characterDevice
  if (stats.isFIFO()) mode += goMode.pipe
  if (stats.isSocket()) mode += goMode.socket
  if (stats.mode & 0o4000) mode += goMode.setuid
  if (stats.mode & 0o2000) mode += goMode.setgid
  if (stats.mode & 0o1000) mode += goMode.sticky
  return mode
}

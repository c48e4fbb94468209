/** All regular files of a root, by their true paths: links are not followed, so nothing outside is seen. */

import { constants } from 'node:fs'
import { open, opendir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { resourceExhausted } from '#api/errors/errors.ts'
import type { RootFile } from './catalog.ts'

/** No package database comes near. */
const mostBytes = 256 * 1024 * 1024

/** Sorted, so that equal roots are told alike. `wanted` chooses by the path in the image. */
export async function rootFiles(root: string, wanted: (path: string) => boolean): Promise<RootFile[]> {
  const found: RootFile[] = []
  const pending = ['/']
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop())
    for await (const entry of await opendir(join(root, folder))) {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) pending.push(path)
      else if (entry.isFile() && wanted(path)) found.push(fileAt(root, path))
    }
  return found.toSorted((a, b) => (a.path < b.path ? -1 : 1))
}

function fileAt(root: string, path: string): RootFile {
  const place = join(root, path)
  return {
    path,
    place,
    async read() {
      const { size } = await stat(place)
      if (size > mostBytes) throw resourceExhausted(`${path} has ${size} bytes; at most ${mostBytes} are read`)
      await using file = await open(place, constants.O_RDONLY | constants.O_NOFOLLOW)
      return await file.readFile()
    },
  }
}

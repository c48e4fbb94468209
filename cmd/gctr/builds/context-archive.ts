/** A folder on its way to the builder: one tar archive, in pieces. */
import { createReadStream } from 'node:fs'
import { lstat, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type Pack, pack } from 'tar-stream'

/** The folder's files, by name; the builder leaves out what `.dockerignore` names. */
export async function* contextArchive(folder: string): AsyncGenerator<Buffer> {
  const archive = pack()
  const packed = add(archive, folder, '').then(() => archive.finalize())
  packed.catch(error => archive.destroy(error))
  for await (const bytes of archive as AsyncIterable<Buffer>) yield bytes
  await packed
}

async function add(archive: Pack, folder: string, below: string): Promise<void> {
  for (const name of (await readdir(join(folder, below))).toSorted()) {
    const path = join(below, name)
    const stats = await lstat(join(folder, path))
    const header = { name: path, mode: stats.mode & 0o7777, mtime: stats.mtime }
    if (stats.isDirectory()) {
      archive.entry({ ...header, type: 'directory' }, '')
      await add(archive, folder, path)
    } else if (stats.isSymbolicLink())
      archive.entry({ ...header, type: 'symlink', linkname: await readlink(join(folder, path)) }, '')
    else if (stats.isFile())
      await pipeline(createReadStream(join(folder, path)), archive.entry({ ...header, size: stats.size }))
  }
}

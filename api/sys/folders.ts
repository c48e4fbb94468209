import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isSysError } from './sys.ts'

/** What is in a folder; nothing where there is none. */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (isSysError(error, 'ENOENT') || isSysError(error, 'ENOTDIR')) return []
    throw error
  }
}

/** Entries of folders laid out as `<tenant namespace>/<container>`. */
export async function foldersIn(folder: string): Promise<{ ns: string; id: string; path: string }[]> {
  const found: { ns: string; id: string; path: string }[] = []
  for (const ns of await namesIn(folder))
    for (const id of await namesIn(join(folder, ns))) found.push({ ns, id, path: join(folder, ns, id) })
  return found
}

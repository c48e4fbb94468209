/** Which manifests there are: what is installed. */
import { readdir, readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { invalidArgument, messageOf } from '#api/errors/errors.ts'
import { type Manifest, parseManifest } from './manifest.ts'

export { type Manifest, parseManifest } from './manifest.ts'

/** What a look around found: the good, and a sentence for each of the bad. */
export interface Found {
  /** In the order of the directories, which is that of rising precedence. */
  readonly manifests: readonly Manifest[]
  readonly faults: readonly string[]
}

/**
 * Reads `<directory>/*.toml` and `<directory>/<any>/plugin.toml` of each directory; one that is missing is empty, names
 * that begin with a dot are left out. A bad one is a fault and keeps no other from being found.
 *
 * `binDirectory`: where a build leaves executables; `gantry-<kind>-<id>` there takes the place of the executable that a
 * manifest of `builtDirectories` names.
 */
export async function readManifests(
  directories: readonly string[],
  { binDirectory, builtDirectories = [] }: { binDirectory?: string; builtDirectories?: readonly string[] } = {},
): Promise<Found> {
  const built = new Set(binDirectory === undefined ? [] : await entriesOf(binDirectory))
  const manifests: Manifest[] = []
  const faults: string[] = []
  for (const directory of directories)
    for (const path of await candidates(directory))
      try {
        const manifest = await readManifest(path)
        if (manifest === undefined) continue
        const executable = `gantry-${manifest.kind}-${manifest.id}`
        const isBuilt = binDirectory !== undefined && builtDirectories.includes(directory) && built.has(executable)
        manifests.push(isBuilt ? { ...manifest, source: { argv: [join(binDirectory, executable)] } } : manifest)
      } catch (error) {
        faults.push(messageOf(error))
      }
  return { manifests, faults }
}

async function candidates(directory: string): Promise<string[]> {
  const names = (await entriesOf(directory)).filter(name => !name.startsWith('.')).sort()
  return names.map(name => (extname(name) === '.toml' ? join(directory, name) : join(directory, name, 'plugin.toml')))
}

async function entriesOf(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

/** Undefined: there is no such file. INVALID_ARGUMENT: what is wrong in it. */
export async function readManifest(path: string): Promise<Manifest | undefined> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (isMissing(error)) return undefined
    if (isNoFile(error)) throw invalidArgument(`plugin manifest: ${messageOf(error)}`, { cause: error })
    throw error
  })
  return text === undefined ? undefined : parseManifest(text, path)
}

const noFile: unknown[] = ['EISDIR', 'ENAMETOOLONG', 'ELOOP', 'EACCES']

function isNoFile(error: unknown): boolean {
  return error instanceof Error && 'code' in error && noFile.includes(error.code)
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')
}

/**
 * Manifests: what is installed. A plugin's folder holds a `plugin.toml`:
 *
 *     id = "overlayfs"
 *     kind = "snapshotter"            # or another of kinds.ts
 *     version = "0.1.0"
 *     executable = ["main.ts"]        # program and arguments; a relative program counts from the manifest's folder
 *     capabilities = ["usage"]        # optional
 *
 * Drop-ins are single files `<name>.toml` of the same form, in a directory such as /etc/gantry/plugins.d; they may have
 * `address = "/path/of.sock"` in place of `executable`: somebody else runs it.
 */
import { readdir, readFile } from 'node:fs/promises'
import { dirname, extname, isAbsolute, join, resolve } from 'node:path'
import { parse } from 'smol-toml'
import * as z from 'zod'
import { invalidArgument, messageOf } from '#api/errors/errors.ts'
import { type PluginKind, type PluginSource, pluginKinds } from './plugins.ts'

const manifestSchema = z
  .strictObject({
    id: z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'must be lower-case words joined by "-"'),
    kind: z.enum(pluginKinds),
    version: z.string().default(''),
    executable: z.array(z.string()).min(1).optional(),
    address: z.string().optional(),
    capabilities: z.array(z.string()).default([]),
  })
  .refine(({ executable, address }) => (executable === undefined) !== (address === undefined), {
    message: 'needs either "executable" or "address"',
  })

export interface Manifest {
  readonly kind: PluginKind
  readonly id: string
  readonly version: string
  readonly capabilities: readonly string[]
  readonly source: PluginSource
  /** Where it was read. */
  readonly path: string
}

/**
 * Reads `<directory>/*.toml` and `<directory>/<any>/plugin.toml` of each directory; one that is missing is empty. Of two
 * with the same kind and id the later directory's wins. INVALID_ARGUMENT names the file and what is wrong in it.
 *
 * `binDirectory`: where a build leaves executables; `gantry-<kind>-<id>` there takes the place of a manifest's own.
 */
export async function readManifests(
  directories: readonly string[],
  { binDirectory }: { binDirectory?: string } = {},
): Promise<Manifest[]> {
  const built = new Set(binDirectory === undefined ? [] : await entriesOf(binDirectory))
  const found = new Map<string, Manifest>()
  for (const directory of directories)
    for (const path of await candidates(directory)) {
      const manifest = await readManifest(path)
      if (manifest === undefined) continue
      const executable = `gantry-${manifest.kind}-${manifest.id}`
      const source =
        binDirectory !== undefined && built.has(executable)
          ? { argv: [join(binDirectory, executable)] }
          : manifest.source
      found.set(`${manifest.kind}/${manifest.id}`, { ...manifest, source })
    }
  return [...found.values()]
}

async function candidates(directory: string): Promise<string[]> {
  const names = (await entriesOf(directory)).sort()
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

async function readManifest(path: string): Promise<Manifest | undefined> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (isMissing(error)) return undefined
    throw error
  })
  return text === undefined ? undefined : parseManifest(text, path)
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')
}

/** One manifest. INVALID_ARGUMENT with `path` in front. */
export function parseManifest(text: string, path: string): Manifest {
  const result = manifestSchema.safeParse(parseToml(text, path))
  if (!result.success) {
    const faults = result.error.issues.map(issue => [issue.path.join('.'), issue.message].filter(Boolean).join(': '))
    throw invalidArgument(`plugin manifest ${path}: ${faults.join('; ')}`)
  }
  const { executable, address, ...rest } = result.data
  return {
    ...rest,
    source: address === undefined ? { argv: argvOf(executable ?? [], dirname(path)) } : { address },
    path,
  }
}

function parseToml(text: string, path: string): unknown {
  try {
    return parse(text)
  } catch (cause) {
    throw invalidArgument(`plugin manifest ${path}: ${messageOf(cause)}`, { cause })
  }
}

/** TypeScript and JavaScript run with the Node we run with; a bare name is looked up in PATH, as by execvp(3). */
function argvOf([program = '', ...args]: readonly string[], folder: string): string[] {
  if (/\.[cm]?[tj]s$/.test(program)) return [process.execPath, resolve(folder, program), ...args]
  if (isAbsolute(program) || !program.includes('/')) return [program, ...args]
  return [resolve(folder, program), ...args]
}

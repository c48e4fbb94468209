/** From a runtime's name to its shim's executable (containerd's rule). */
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, isAbsolute, join } from 'node:path'
import { invalidArgument, notFound } from '#api/errors/errors.ts'

export interface ShimPlaces {
  /** Folders searched before PATH: where the daemon's own executables are. */
  folders: readonly string[]
  /** `PATH`. */
  path: string
  /** Executables by file name that go before everything, for development. */
  overrides?: Readonly<Record<string, string>>
}

/**
 * `io.containerd.gantry.v1` → `containerd-shim-gantry-v1`, found in the places; an absolute path is itself.
 * INVALID_ARGUMENT for a name without the form; NOT_FOUND when there is no such executable.
 */
export async function resolveShim(runtime: string, places: ShimPlaces): Promise<string> {
  if (isAbsolute(runtime)) return requireExecutable(runtime, runtime)
  const file = shimFileName(runtime)
  const override = places.overrides?.[file]
  if (override) return requireExecutable(override, runtime)
  const folders = [...places.folders, ...places.path.split(delimiter).filter(isAbsolute)]
  for (const folder of folders) if (await isExecutable(join(folder, file))) return join(folder, file)
  throw notFound(`runtime "${runtime}": no executable "${file}" in ${folders.join(', ')}`)
}

export function shimFileName(runtime: string): string {
  const parts = runtime.split('.')
  const [name, version] = parts.slice(-2)
  if (parts.length < 2 || !name || !version || runtime.includes('/'))
    throw invalidArgument(`runtime "${runtime}" is neither a name such as io.containerd.gantry.v1 nor an absolute path`)
  return `containerd-shim-${name}-${version}`
}

async function requireExecutable(path: string, runtime: string): Promise<string> {
  if (await isExecutable(path)) return path
  throw notFound(`runtime "${runtime}": ${path} is not an executable file`)
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}

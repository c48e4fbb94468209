/** From a runtime's name to its shim's executable (containerd's rule). */
import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'
import { invalidArgument, notFound } from '#api/errors/errors.ts'
import { Options } from '#api/gen/containerd/runc/v1/options.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'

export interface ShimPlaces {
  /** Folders searched before PATH: where the daemon's own executables are. */
  folders: readonly string[]
  /** `PATH`. */
  path: string
  /** Executables by file name that go before everything, for development. */
  overrides?: Readonly<Record<string, string>>
  /** Runtimes by name that are served by another one. */
  standIns?: Readonly<Record<string, string>>
  /** The shim that is registered under a name, or for the names that lead to `file`; FAILED_PRECONDITION: not to be used. */
  registered?(name: string, file: string | undefined): Shim | undefined
}

/** An executable to start a shim by. */
export interface Shim {
  readonly path: string
  /** For containers that bring none. */
  readonly options?: Any | undefined
}

/** Values of `BinaryName` that say no more than the runtime's name: none, and the default that dockerd always sends. */
const plainBinaryNames = ['', 'runc']

/**
 * The runtime that serves a wish: the stand-in of its name, unless its options name an OCI runtime's executable, which
 * only the runtime asked for knows how to call.
 */
export function servingRuntime(wished: string, options: Any | undefined, places: ShimPlaces): string {
  const { standIns = {} } = places
  if (registered(wished, places)) return wished
  const standIn = Object.hasOwn(standIns, wished) ? standIns[wished] : undefined
  if (standIn === undefined || options?.typeUrl !== 'containerd.runc.v1.Options') return standIn ?? wished
  return plainBinaryNames.includes(Options.decode(options.value).binaryName) ? standIn : wished
}

/**
 * `io.containerd.gantry.v1` → `containerd-shim-gantry-v1`, found in the places; an absolute path is itself; what is
 * registered goes before.
 * INVALID_ARGUMENT for a name without the form; NOT_FOUND when there is no such executable.
 */
export async function resolveShim(runtime: string, places: ShimPlaces): Promise<Shim> {
  const shim = registered(runtime, places) ?? { path: findShim(runtime, places) }
  requireExecutable(shim.path, runtime)
  return shim
}

function registered(runtime: string, places: ShimPlaces): Shim | undefined {
  return places.registered?.(runtime, hasForm(runtime) ? shimFileName(runtime) : undefined)
}

function findShim(runtime: string, places: ShimPlaces): string {
  if (isAbsolute(runtime)) return runtime
  const file = shimFileName(runtime)
  const override = places.overrides?.[file]
  if (override) return override
  const folders = [...places.folders, ...places.path.split(delimiter).filter(isAbsolute)]
  for (const folder of folders) if (isExecutable(join(folder, file))) return join(folder, file)
  throw notFound(`runtime "${runtime}": no executable "${file}" in ${folders.join(', ')}`)
}

/** Two words or more, joined by dots. */
function hasForm(runtime: string): boolean {
  return /\.?[^./]+\.[^./]+$/.test(runtime) && !runtime.includes('/')
}

export function shimFileName(runtime: string): string {
  if (!hasForm(runtime))
    throw invalidArgument(
      `runtime "${runtime}" is neither registered, nor a name such as io.containerd.gantry.v1, nor an absolute path`,
    )
  return `containerd-shim-${runtime.split('.').slice(-2).join('-')}`
}

function requireExecutable(path: string, runtime: string): void {
  if (!isExecutable(path)) throw notFound(`runtime "${runtime}": ${path} is not an executable file`)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/** A shim's executable: its `start` and `delete` (containerd's runtime v2 bootstrap). */
import { join } from 'node:path'
import { internal, messageOf } from '#api/errors/errors.ts'
import { DeleteResponse } from '#api/gen/containerd/task/v3/task.ts'
import { Any } from '#api/gen/google/protobuf/any.ts'
import { type SpawnResult, spawnDetached } from '#api/sys/sys.ts'
import type { Bootstrap, Bundle } from './bundle.ts'

/** What every shim is told about its daemon. */
export interface ShimSurroundings {
  /** Path of the daemon's gRPC socket; events go to `<address>.ttrpc`. */
  address: string
  /** Executable with a `publish` command, for shims that publish by it. */
  publishBinary: string
  /** Short folder for the sockets of our own shim. */
  socketFolder: string
  debug: boolean
  /** Environment to pass on, such as PATH. */
  environment: Readonly<Record<string, string>>
}

const startTimeoutMs = 30_000
const deleteTimeoutMs = 30_000

/**
 * Runs `start` and answers how to reach the shim it left behind. INTERNAL with what the shim said when it failed, and for an
 * answer that is none. Options go to its standard input.
 */
export async function startShim(
  shimPath: string,
  bundle: Bundle,
  options: Any | undefined,
  surroundings: ShimSurroundings,
): Promise<Bootstrap> {
  const result = await run(shimPath, bundle, 'start', surroundings, options && Any.encode(options).finish())
  if (result.code !== 0) throw internal(`shim ${shimPath} did not start (exit code ${result.code}): ${said(result)}`)
  return parseAnswer(shimPath, result.stdout.toString().trim())
}

/**
 * Runs `delete`: kills and removes whatever is left of the container, however often it is called.
 * INTERNAL with what the shim said when it failed.
 */
export async function runShimDelete(
  shimPath: string,
  bundle: Bundle,
  surroundings: ShimSurroundings,
): Promise<DeleteResponse> {
  const result = await run(shimPath, bundle, 'delete', surroundings, undefined)
  if (result.code !== 0) throw internal(`shim ${shimPath} delete failed (exit code ${result.code}): ${said(result)}`)
  return DeleteResponse.decode(result.stdout)
}

async function run(
  shimPath: string,
  bundle: Bundle,
  action: 'start' | 'delete',
  surroundings: ShimSurroundings,
  stdin: Uint8Array | undefined,
): Promise<SpawnResult> {
  const { address, publishBinary, debug } = surroundings
  const flags = [
    '-namespace',
    bundle.namespace,
    '-address',
    address,
    '-publish-binary',
    publishBinary,
    '-id',
    bundle.id,
  ]
  if (action === 'delete') flags.push('-bundle', bundle.path)
  if (debug) flags.push('-debug')
  try {
    return await spawnDetached({
      argv: [shimPath, ...flags, action],
      env: { ...shimEnvironment(surroundings), NAMESPACE: bundle.namespace },
      cwd: bundle.path,
      timeoutMs: action === 'start' ? startTimeoutMs : deleteTimeoutMs,
      ...(stdin && { stdin }),
    })
  } catch (cause) {
    throw internal(`shim ${shimPath} ${action}: ${messageOf(cause)}`, { cause })
  }
}

/** What every shim finds in its environment. */
export function shimEnvironment(surroundings: ShimSurroundings): Record<string, string> {
  return {
    ...surroundings.environment,
    TTRPC_ADDRESS: `${surroundings.address}.ttrpc`,
    GRPC_ADDRESS: surroundings.address,
    MAX_SHIM_VERSION: '2',
    // Ours alone reads these: gRPC instead of the ttrpc that every other daemon wants.
    GANTRY_SHIM_PROTOCOL: 'grpc',
    GANTRY_SHIM_SOCKET_DIR: surroundings.socketFolder,
  }
}

function said({ stdout, stderr }: SpawnResult): string {
  return `${stderr}${stdout}`.trim().slice(-2000) || 'it said nothing'
}

/** JSON, or one plain address, which means version 2 over ttrpc. INTERNAL for anything else. */
export function parseAnswer(shimPath: string, text: string): Bootstrap {
  if (text.startsWith('{')) {
    const { version, address, protocol } = JSON.parse(text) as Partial<Bootstrap>
    if (typeof version === 'number' && typeof address === 'string' && (protocol === 'grpc' || protocol === 'ttrpc'))
      return { version, address, protocol }
  } else if (text.startsWith('unix://')) {
    return { version: 2, address: text, protocol: 'ttrpc' }
  }
  throw internal(`shim ${shimPath} answered "${text.slice(0, 200)}", which is no address`)
}

/** FIFO in the bundle that the shim writes its messages to. */
export function shimLogPath(bundle: Bundle): string {
  return join(bundle.path, 'log')
}

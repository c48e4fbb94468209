/** A shim's executable as a daemon runs it: containerd's runtime v2 (core/runtime/v2/README.md there). */
import { TaskDefinition as TaskV2Definition } from '#api/gen/containerd/task/v2/task.ts'
import { TaskDefinition as TaskV3Definition } from '#api/gen/containerd/task/v3/task.ts'
import { type Client, connect, createClient } from '#api/rpc/client.ts'
import { connectTtrpc, createTtrpcClient } from '#api/rpc/ttrpc.ts'
import { type SpawnResult, spawnDetached } from '#api/sys/sys.ts'

export type TaskApi = Client<typeof TaskV3Definition>

/** Where a shim serves its Task service. */
export interface ShimAddress {
  readonly version: number
  readonly address: string
  readonly protocol: 'ttrpc' | 'grpc'
}

export interface ShimPlace {
  readonly namespace: string
  readonly id: string
  readonly bundle: string
  /** The daemon's socket; events go to `<daemon>.ttrpc`. */
  readonly daemon: string
}

export interface ShimConnection extends Disposable {
  readonly api: TaskApi
}

/** What the rules are told about; a broken one can be put in its place. */
export interface Shim {
  /** Runs the executable for a container. */
  run(action: 'start' | 'delete', place: ShimPlace): Promise<SpawnResult>
  /** Runs it for what it says of itself. */
  ask(flag: '-v' | '-info'): Promise<SpawnResult>
  connect(address: ShimAddress, namespace: string): ShimConnection
}

const runMs = 60_000

export function shimAt(path: string): Shim {
  return {
    async run(action, { namespace, id, bundle, daemon }) {
      const flags = ['-namespace', namespace, '-address', daemon, '-publish-binary', '/bin/true', '-id', id]
      const where = action === 'delete' ? ['-bundle', bundle] : []
      const env = { ...pathOf(), TTRPC_ADDRESS: `${daemon}.ttrpc`, GRPC_ADDRESS: daemon, NAMESPACE: namespace }
      return await spawnDetached({ argv: [path, ...flags, ...where, action], env, cwd: bundle, timeoutMs: runMs })
    },
    async ask(flag) {
      return await spawnDetached({
        argv: [path, flag],
        env: pathOf(),
        cwd: '/',
        timeoutMs: runMs,
        stdin: Buffer.alloc(0),
      })
    },
    connect: connectShim,
  }
}

function pathOf(): Record<string, string> {
  return { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin' }
}

function connectShim({ version, address, protocol }: ShimAddress, namespace: string): ShimConnection {
  const definition = (version === 2 ? TaskV2Definition : TaskV3Definition) as typeof TaskV3Definition
  if (protocol === 'grpc') {
    const channel = connect(address, { namespace, peer: 'the shim' })
    return { api: createClient(definition, channel), [Symbol.dispose]: () => channel.close() }
  }
  const channel = connectTtrpc(address, { namespace, peer: 'the shim' })
  return { api: createTtrpcClient(definition, channel), [Symbol.dispose]: () => channel.close() }
}

/** What `start` answered: JSON, or one plain address, which is version 2 over ttrpc. Undefined: neither. */
export function parseAddress(text: string): ShimAddress | undefined {
  const line = text.trim()
  if (/^unix:\/\/\S+$/.test(line)) return { version: 2, address: line, protocol: 'ttrpc' }
  try {
    const { version, address, protocol } = JSON.parse(line) as Partial<ShimAddress>
    if (typeof version !== 'number' || typeof address !== 'string') return undefined
    return protocol === 'ttrpc' || protocol === 'grpc' ? { version, address, protocol } : undefined
  } catch {
    return undefined
  }
}

/** Where a plugin's process lives, and what it is told of it by its environment. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { LogLevel } from '#api/log/log.ts'
import { kindTraits } from './kinds.ts'
import type { PluginHome } from './managed-plugin.ts'
import type { PluginSpec } from './spec.ts'

/** What all plugins of one gantryd share. */
export interface Surroundings {
  /** gantryd's durable directory; a plugin's is `<root>/<kind's folder>/<id>`, short because mount options repeat it. */
  readonly root: string
  /** gantryd's volatile directory; sockets are `<state>/<kind's folder>/<id>.sock`. */
  readonly state: string
  /** Eight hexadecimal digits that name this gantryd on the host. */
  readonly instance: string
  /** Cgroup that those of the plugins lie in. */
  readonly cgroup: string
  /** Socket of the core's API, for the plugins that call it. */
  readonly coreAddress: string
  /** Group that may use a gateway's socket as it may use ours; undefined: root alone. */
  readonly groupId?: number | undefined
  readonly logLevel?: LogLevel
  /** Executables of the shims that run for containers of the runtimes that `serves` says yes to. */
  readonly runningShims?: (serves: (runtime: string) => boolean) => string[]
}

/**
 * The home of the `generation`-th process that takes over: same directories, a socket of its own. The 0th has the plain
 * name.
 */
export function homeOf(spec: PluginSpec, surroundings: Surroundings, generation: number): PluginHome {
  const { kind, id } = spec
  const { folder } = kindTraits[kind]
  const seat = generation === 0 ? id : `${id}.${generation}`
  return makeHome(spec, surroundings, {
    seat,
    root: join(surroundings.root, folder, id),
    state: join(surroundings.state, folder, id),
    instance: surroundings.instance,
    gatewaySocket: join(surroundings.state, `${id}.sock`),
  })
}

/** A home for a trial: empty directories, and another instance, so that it touches nothing of the one at work. */
export function trialHomeOf(spec: PluginSpec, surroundings: Surroundings): PluginHome {
  const { folder } = kindTraits[spec.kind]
  const seat = `${spec.id}.trial`
  return makeHome(spec, surroundings, {
    seat,
    root: join(surroundings.root, folder, seat),
    state: join(surroundings.state, folder, seat),
    instance: createHash('sha256').update(`${surroundings.instance} trial`).digest('hex').slice(0, 8),
    gatewaySocket: join(surroundings.state, folder, `${seat}.door`),
  })
}

/** The file of what it writes: it stays when its process, or ours, ends. */
export function logPathOf({ kind, id }: Pick<PluginSpec, 'kind' | 'id'>, { root }: Pick<Surroundings, 'root'>): string {
  return join(root, 'plugin-logs', `${kind}-${id}.log`)
}

interface Places {
  readonly seat: string
  readonly root: string
  readonly state: string
  readonly instance: string
  readonly gatewaySocket: string
}

function makeHome(spec: PluginSpec, surroundings: Surroundings, places: Places): PluginHome {
  const { kind, id, config } = spec
  const { seat, root, state } = places
  const runDirectory = join(surroundings.state, kindTraits[kind].folder)
  const address = join(runDirectory, `${seat}.sock`)
  const env = {
    ...inherited(),
    GANTRY_PLUGIN_ID: id,
    GANTRY_PLUGIN_KIND: kind,
    GANTRY_PLUGIN_ADDRESS: address,
    GANTRY_PLUGIN_ROOT: root,
    GANTRY_PLUGIN_STATE: state,
    GANTRY_PLUGIN_CONFIG: JSON.stringify(config),
    GANTRY_PLUGIN_WATCH_STDIN: '1',
    GANTRY_INSTANCE: places.instance,
    GANTRY_LOG_LEVEL: surroundings.logLevel ?? 'info',
    ...(kindTraits[kind].callsCore && { GANTRY_CORE_ADDRESS: surroundings.coreAddress }),
    ...(kind === 'gateway' && gatewayEnv(surroundings, places)),
  }
  const cgroup = join(surroundings.cgroup, `${kind}-${seat}`)
  return { address, pidFile: join(runDirectory, `${seat}.pid`), env, directories: [root, state], cgroup }
}

/** What a gateway needs beside: where its own clients look for it. */
function gatewayEnv({ groupId }: Surroundings, { gatewaySocket }: Places): Record<string, string> {
  return {
    GANTRY_GATEWAY_SOCKET: gatewaySocket,
    ...(groupId !== undefined && { GANTRY_GATEWAY_GROUP: String(groupId) }),
  }
}

function inherited(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
  )
}

/**
 * A gateway as a value: a plugin that speaks a foreign protocol to its clients and calls the core.
 *
 *     export const docker = defineGateway({ id: 'docker', version: '1.0.0', create: async env => await listenOn(env.socket) })
 *     // main.ts: await serve(docker)
 *
 * It starts with gantryd, once the core serves, and ends before the core stops serving. On its plugin socket it has no
 * service of its own: health and gantry.plugin.v1 are all that gantryd asks there.
 */
import { invalidArgument } from '#api/errors/errors.ts'
import { type CommonDefinition, coreAddress, definePlugin, socketPath } from './core-caller.ts'
import type { PluginDefinition, PluginEnv } from './plugin.ts'

/** What gantryd tells a gateway beside what it tells every plugin. */
export interface GatewayPlaces {
  /** Unix socket of the core's gRPC API (`GANTRY_CORE_ADDRESS`). */
  readonly coreAddress: string
  /** Unix socket that the gateway's clients look for (`GANTRY_GATEWAY_SOCKET`), such as `/run/gantry/docker.sock`. */
  readonly socket: string
  /** Group that may use that socket (`GANTRY_GATEWAY_GROUP`): chown it, 0660. Undefined: root alone, 0600. */
  readonly groupId: number | undefined
}

export type GatewayEnv<Config> = PluginEnv<Config> & GatewayPlaces

/** A gateway at work. */
export interface Gateway {
  /** Facts for tools, such as `{ socket: '/run/gantry/docker.sock' }`. */
  readonly exports?: Readonly<Record<string, string>>
  /** Called once: requests in flight get the five seconds of a plugin's end. */
  close(): Promise<void>
}

export interface GatewayDefinition<Config> extends CommonDefinition<Config> {
  /** Listens on `env.socket` when it resolves. */
  create(env: GatewayEnv<Config>): Promise<Gateway>
}

export function defineGateway<Config = unknown>(definition: GatewayDefinition<Config>): PluginDefinition<Config> {
  return definePlugin('gateway', definition, async env => {
    const gateway = await definition.create({ ...env, ...gatewayPlaces(process.env) })
    return { services: [], ...(gateway.exports && { exports: gateway.exports }), close: () => gateway.close() }
  })
}

/** INVALID_ARGUMENT names the variable that is missing or wrong. */
export function gatewayPlaces(env: Readonly<Record<string, string | undefined>>): GatewayPlaces {
  const { GANTRY_GATEWAY_SOCKET, GANTRY_GATEWAY_GROUP: group } = env
  if (group !== undefined && !/^\d+$/.test(group))
    throw invalidArgument(`GANTRY_GATEWAY_GROUP "${group}" is not the number of a group`)
  return {
    coreAddress: coreAddress(env),
    socket: socketPath('GANTRY_GATEWAY_SOCKET', GANTRY_GATEWAY_SOCKET),
    groupId: group === undefined ? undefined : Number(group),
  }
}

/**
 * A network plugin as the core sees it: gantry.network.v1, whoever serves it. The prose is in the `.proto`.
 *
 * A backend knows a container as `<tenant namespace>/<container id>`: ids are unique per namespace only, and a
 * network may serve several.
 */
import type { NetworkPluginServiceDefinition } from '#api/gen/gantry/network/v1/network.ts'
import type { Client } from '#api/rpc/definition.ts'

/** The client of a plugin's service. UNAVAILABLE when the process cannot be reached. */
export type NetworkBackend = Client<typeof NetworkPluginServiceDefinition>

/** Finds the plugin with that id (starting it is the plugin's supervisor's affair). NOT_FOUND: there is none. */
export type NetworkBackends = (driver: string) => NetworkBackend

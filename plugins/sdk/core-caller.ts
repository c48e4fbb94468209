/** What plugins that call the core have in common: where it is, and the shell around their definitions. */
import { isAbsolute } from 'node:path'
import { invalidArgument } from '#api/errors/errors.ts'
import type { PluginDefinition, PluginEnv, PluginInstance, PluginKind } from './plugin.ts'

/** The part of a definition that is the same for every kind. */
export interface CommonDefinition<Config> {
  readonly id: string
  readonly version: string
  readonly capabilities?: readonly string[]
  readonly configSchema?: object
  /** See {@link PluginDefinition.parseConfig}; absent: it takes no configuration and ignores the table. */
  parseConfig?(raw: unknown): Config
}

/** A plugin of `kind` made of the common part and how it is brought to work. */
export function definePlugin<Config>(
  kind: PluginKind,
  definition: CommonDefinition<Config>,
  create: (env: PluginEnv<Config>) => Promise<PluginInstance>,
): PluginDefinition<Config> {
  const { id, version, capabilities = [], configSchema } = definition
  return {
    ...{ kind, id, version, capabilities, create },
    ...(configSchema && { configSchema }),
    parseConfig: raw => (definition.parseConfig ? definition.parseConfig(raw) : (raw as Config)),
  }
}

/** Unix socket of the core's gRPC API. INVALID_ARGUMENT when gantryd did not say. */
export function coreAddress(env: Readonly<Record<string, string | undefined>> = process.env): string {
  return socketPath('GANTRY_CORE_ADDRESS', env.GANTRY_CORE_ADDRESS)
}

/** The value of a variable that names a socket. INVALID_ARGUMENT names the variable that is missing or wrong. */
export function socketPath(name: string, value: string | undefined): string {
  if (value === undefined || value === '')
    throw invalidArgument(`${name} is not given: gantryd sets it for plugins that call the core`)
  if (isAbsolute(value)) return value
  throw invalidArgument(`${name} "${value}" is not an absolute path`)
}

import { randomUUID } from 'node:crypto'
import { statSync } from 'node:fs'
import { errorTable, isGantryError, messageOf, notFound, notImplemented } from '#api/errors/errors.ts'
import { type Filter, parseFilters } from '#api/filters/filters.ts'
import type { IntrospectionDefinition, Plugin } from '#api/gen/containerd/services/introspection/v1/introspection.ts'
import type { ServiceImpl } from '#api/rpc/server.ts'
import { formatPlatform } from '#api/types/platform.ts'
import { type Metadata, refusedFilter } from '#core/metadata/metadata.ts'
import type { PluginDescription, PluginInquiry } from './introspection.ts'

export interface IntrospectionOptions {
  readonly metadata: Metadata
  /** What there is now; asked for with every call. */
  readonly plugins: () => readonly PluginDescription[]
  /** For questions to a plugin (PluginInfo with options). */
  readonly inquire?: PluginInquiry
}

/** containerd.services.introspection.v1.Introspection. Needs no namespace. */
export function introspectionService({
  metadata,
  plugins,
  inquire,
}: IntrospectionOptions): ServiceImpl<typeof IntrospectionDefinition> {
  return {
    async plugins({ filters }) {
      const matches = accepted(filters)
      const chosen = plugins().filter(plugin => matches(([field]) => pluginField(plugin, field)))
      return { plugins: chosen.map(wirePlugin) }
    },
    async server() {
      return { uuid: serverUuid(metadata), pid: BigInt(process.pid), pidns: pidNamespace(), deprecations: [] }
    },
    async pluginInfo({ type, id, options }) {
      const plugin = plugins().find(found => found.type === type && found.id === id)
      if (plugin === undefined) throw notFound(`plugin ${type}.${id}`)
      if (options === undefined) return { plugin: wirePlugin(plugin) }
      const extra = await inquire?.(plugin, options)
      if (extra === undefined) throw notImplemented(`plugin ${type}.${id} has nothing to tell`)
      return { plugin: wirePlugin(plugin), extra }
    },
  }
}

function accepted(filters: readonly string[]): Filter {
  try {
    return parseFilters(filters)
  } catch (error) {
    return refusedFilter(error)
  }
}

/** Identity of this root, made with the first question and kept for ever. */
function serverUuid(metadata: Metadata): string {
  const known = metadata.read(tx => tx.get<string>(['server']))
  if (known !== undefined) return known
  const uuid = randomUUID()
  metadata.write(tx => tx.put(['server'], uuid))
  return uuid
}

/** Inode of /proc/self/ns/pid: equal inodes, same numbers for same processes. */
function pidNamespace(): bigint {
  return statSync('/proc/self/ns/pid', { bigint: true }).ino
}

function pluginField(
  { type, id, platforms = [], capabilities = [] }: PluginDescription,
  field = '',
): string | undefined {
  if (field === 'type') return type
  if (field === 'id') return id
  if (field === 'platforms') return platforms.map(formatPlatform).join(',')
  return field === 'capabilities' ? capabilities.join(',') : undefined
}

function wirePlugin({ type, id, failure, ...rest }: PluginDescription): Plugin {
  const { requires = [], platforms = [], exports = {}, capabilities = [] } = rest
  return {
    type,
    id,
    requires: [...requires],
    platforms: platforms.map(platform => ({ ...platform, osVersion: '', osFeatures: [] })),
    exports: { ...exports },
    capabilities: [...capabilities],
    initErr: failure && { code: codeOf(failure), message: messageOf(failure), details: [] },
  }
}

function codeOf(failure: Error): number {
  return errorTable[isGantryError(failure) ? failure.code : 'UNKNOWN'].grpc
}

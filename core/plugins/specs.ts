/** The plugin table: what is installed (manifests) joined with what the administrator says (configuration). */
import { invalidArgument } from '#api/errors/errors.ts'
import type { Manifest } from './manifests.ts'
import {
  type KindFolder,
  kindTraits,
  type PluginKind,
  type PluginSource,
  type PluginSpec,
  pluginKinds,
} from './plugins.ts'

/**
 * `[plugins.<kind's folder>.<id>]` tables of gantryd's configuration. Two keys are ours: `address` (somebody else runs it),
 * and `disabled` (as if it were not installed); the rest is the plugin's own.
 */
export type PluginTables = Readonly<
  Partial<Record<KindFolder, Readonly<Record<string, Readonly<Record<string, unknown>>>>>>
>

/** INVALID_ARGUMENT: a table for a plugin that is neither installed nor has an address, listing those there are. */
export function pluginSpecs(manifests: readonly Manifest[], tables: PluginTables): PluginSpec[] {
  return pluginKinds.flatMap(kind => {
    const installed = new Map(
      manifests.filter(manifest => manifest.kind === kind).map(manifest => [manifest.id, manifest]),
    )
    const configured = tables[kindTraits[kind].folder] ?? {}
    const ids = new Set([...installed.keys(), ...Object.keys(configured)])
    return [...ids].sort().flatMap(id => specOf(kind, id, installed, configured[id] ?? {}))
  })
}

function specOf(
  kind: PluginKind,
  id: string,
  installed: ReadonlyMap<string, Manifest>,
  table: Readonly<Record<string, unknown>>,
): PluginSpec[] {
  const { address, disabled = false, ...config } = table
  const where = `[plugins.${kindTraits[kind].folder}.${id}]`
  if (typeof disabled !== 'boolean') throw invalidArgument(`${where}: disabled must be true or false`)
  if (disabled) return []
  const manifest = installed.get(id)
  const source = sourceOf(address, where) ?? manifest?.source
  if (source === undefined) {
    const known = [...installed.keys()].join(', ') || 'none'
    throw invalidArgument(
      `${where}: no such ${kind} is installed (there are: ${known}); to use one that runs elsewhere, set address`,
    )
  }
  return [{ kind, id, source, config, version: manifest?.version ?? '', capabilities: manifest?.capabilities ?? [] }]
}

function sourceOf(address: unknown, where: string): PluginSource | undefined {
  if (address === undefined || (typeof address === 'string' && address !== ''))
    return address === undefined ? undefined : { address }
  throw invalidArgument(`${where}: address must be the path of a socket, or host:port`)
}

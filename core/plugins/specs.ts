/** The plugin table: what is installed (manifests), what was decided (registry) and what the configuration says. */
import { dirname } from 'node:path'
import { invalidArgument, messageOf } from '#api/errors/errors.ts'
import { checkConfig } from './config-schema.ts'
import { defaultCapabilities } from './confinement.ts'
import { type KindFolder, kindTraits, type PluginKind, pluginKinds } from './kinds.ts'
import type { Manifest } from './manifest.ts'
import type { Decided, Decision } from './registry.ts'
import type { PluginSource, PluginSpec } from './spec.ts'

/**
 * `[plugins.<kind's folder>.<id>]` tables of gantryd's configuration. Two keys are ours: `address` (somebody else runs it),
 * and `disabled` (as if it were not installed); the rest is the plugin's own.
 */
export type PluginTables = Readonly<
  Partial<Record<KindFolder, Readonly<Record<string, Readonly<Record<string, unknown>>>>>>
>

export interface SpecSources {
  /** In the order of rising precedence. */
  readonly manifests: readonly Manifest[]
  readonly tables: PluginTables
  readonly decisions?: readonly Decided[]
}

export interface Specified {
  readonly specs: readonly PluginSpec[]
  /** A sentence for each table that is for nothing. */
  readonly faults: readonly string[]
}

/**
 * What may run. A plugin whose configuration is refused is in the table with the reason in place of a program.
 * INVALID_ARGUMENT: `address` or `disabled` of a table are of a wrong type.
 */
export async function pluginSpecs({ manifests, tables, decisions = [] }: SpecSources): Promise<Specified> {
  const specs: PluginSpec[] = []
  const faults: string[] = []
  for (const kind of pluginKinds) {
    const installed = groupById(manifests.filter(manifest => manifest.kind === kind))
    const configured = tables[kindTraits[kind].folder] ?? {}
    for (const id of [...new Set([...installed.keys(), ...Object.keys(configured)])].sort()) {
      const decision: Decision = decisions.find(entry => entry.kind === kind && entry.id === id) ?? {}
      const manifest = choose(installed.get(id) ?? [], decision)
      const table = tableOf(kind, id, configured[id] ?? {})
      if (table.disabled || decision.removing) continue
      if (manifest === undefined && table.address === undefined)
        faults.push(
          `${table.where}: no such ${kind} is installed (there are: ${[...installed.keys()].join(', ') || 'none'}); to use one that runs elsewhere, set address`,
        )
      else specs.push(await specOf(kind, id, manifest, table, decision))
    }
  }
  return { specs, faults }
}

function groupById(manifests: readonly Manifest[]): Map<string, Manifest[]> {
  return Map.groupBy(manifests, manifest => manifest.id)
}

/** The one decided for; else of the last directory the newest. */
export function choose(candidates: readonly Manifest[], { chosen }: Decision): Manifest | undefined {
  const decided = candidates.find(manifest => manifest.path === chosen)
  if (decided !== undefined) return decided
  const last = candidates.at(-1)
  if (last === undefined) return undefined
  const beside = candidates.filter(manifest => directoryOf(manifest) === directoryOf(last))
  return beside.toSorted((a, b) => a.version.localeCompare(b.version, 'en', { numeric: true })).at(-1)
}

/** The plugin directory, whether the manifest is a file in it or in a folder of its own. */
function directoryOf({ path }: Manifest): string {
  return path.endsWith('/plugin.toml') ? dirname(dirname(path)) : dirname(path)
}

interface Table {
  readonly where: string
  readonly disabled: boolean
  readonly address: string | undefined
  readonly config: Readonly<Record<string, unknown>>
}

function tableOf(kind: PluginKind, id: string, table: Readonly<Record<string, unknown>>): Table {
  const { address, disabled = false, ...config } = table
  const where = `[plugins.${kindTraits[kind].folder}.${id}]`
  if (typeof disabled !== 'boolean') throw invalidArgument(`${where}: disabled must be true or false`)
  if (address !== undefined && kindTraits[kind].starts === 'per container')
    throw invalidArgument(`${where}: a ${kind} has no address; install it as a folder with an executable`)
  if (address !== undefined && (typeof address !== 'string' || address === ''))
    throw invalidArgument(`${where}: address must be the path of a socket, or host:port`)
  return { where, disabled, address, config }
}

async function specOf(
  kind: PluginKind,
  id: string,
  manifest: Manifest | undefined,
  table: Table,
  decision: Decision,
): Promise<PluginSpec> {
  const given = { ...decision.config, ...table.config }
  const identity = { kind, id, version: manifest?.version ?? '', capabilities: manifest?.capabilities ?? [] }
  if (manifest === undefined) return { ...identity, config: given, source: { address: table.address ?? '' } }
  const common = {
    ...identity,
    origin: manifest.path,
    linuxCapabilities: manifest.linuxCapabilities ?? defaultCapabilities[kind],
    limits: manifest.limits,
    deadlines: manifest.deadlines,
    waitsForRoot: manifest.waitsForRoot,
  }
  try {
    const { configSchemaPath } = manifest
    const config = configSchemaPath === undefined ? given : await checkConfig(configSchemaPath, given, table.where)
    return { ...common, config, source: sourceOf(manifest, table, decision) }
  } catch (error) {
    return { ...common, config: given, source: { unusable: messageOf(error), state: 'failed' } }
  }
}

function sourceOf(manifest: Manifest, { address }: Table, { disabled }: Decision): PluginSource {
  if (disabled)
    return { unusable: `it is disabled; \`gctr plugins enable ${manifest.id}\` allows it`, state: 'disabled' }
  return address === undefined ? manifest.source : { address }
}

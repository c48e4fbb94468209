/** Network configuration lists: CNI spec 1.1, section 1. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { invalidArgument, messageOf, notFound } from '#api/errors/errors.ts'

/** What this runtime speaks; the newest of them that a list allows is used. */
export const knownVersions = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const

const pluginSchema = z.looseObject({
  type: z.string().regex(/^[A-Za-z0-9_.-]+$/, 'is no name of a binary'),
  capabilities: z.record(z.string(), z.boolean()).default({}),
})

const listSchema = z.looseObject({
  cniVersion: z.string().default('0.4.0'),
  cniVersions: z.array(z.string()).default([]),
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, 'is no network name'),
  disableCheck: z.union([z.boolean(), z.literal('true'), z.literal('false')]).default(false),
  disableGC: z.boolean().default(false),
  plugins: z.array(pluginSchema).min(1),
})

export type PluginConf = z.output<typeof pluginSchema>

export interface Conflist {
  readonly name: string
  /** The version that is spoken. */
  readonly cniVersion: string
  readonly disableCheck: boolean
  readonly disableGC: boolean
  /** As written. */
  readonly plugins: readonly PluginConf[]
}

/** A list, or a single plugin's configuration, which is a list of one. INVALID_ARGUMENT names `field`. */
export function parseConflist(text: string, field: string): Conflist {
  const result = listSchema.safeParse(asList(parseJson(text, field)))
  if (!result.success) {
    const issues = result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
    throw invalidArgument(`${field}: ${issues.join('; ')}`)
  }
  const { name, cniVersion, cniVersions, disableCheck, disableGC, plugins } = result.data
  const version = newest([cniVersion, ...cniVersions])
  if (version === undefined)
    throw invalidArgument(`${field}: cniVersion "${cniVersion}" is not one of ${knownVersions.join(', ')}`)
  return { name, cniVersion: version, disableCheck: String(disableCheck) === 'true', disableGC, plugins }
}

function parseJson(text: string, field: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw invalidArgument(`${field} is not JSON: ${messageOf(cause)}`, { cause })
  }
}

function asList(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || 'plugins' in value || !('type' in value)) return value
  const { name, cniVersion, ...plugin } = value as Record<string, unknown>
  return { name, cniVersion, plugins: [plugin] }
}

function newest(wanted: readonly string[]): string | undefined {
  return knownVersions.findLast(version => wanted.includes(version))
}

/** The list of that name among the files of a directory, in the order of their names. NOT_FOUND. */
export async function findConflist(directory: string, name: string): Promise<Conflist> {
  const files = await readdir(directory).catch(() => [])
  for (const file of files.filter(entry => /\.(conflist|conf|json)$/.test(entry)).sort()) {
    const path = join(directory, file)
    const list = parseConflist(await readFile(path, 'utf8'), path)
    if (list.name === name) return list
  }
  throw notFound(`CNI network "${name}" in ${directory}: put its configuration list there`)
}

/**
 * A manifest: what a plugin's folder says about the plugin. `plugin.toml`:
 *
 *     id = "overlayfs"
 *     kind = "snapshotter"                  # or another of kinds.ts
 *     version = "0.1.0"
 *     executable = ["main.ts"]              # program and arguments; a relative program counts from the folder
 *     capabilities = ["usage"]              # optional: words of its contract
 *     linux_capabilities = ["SYS_ADMIN"]    # optional: all it gets; default: what its kind needs (confinement.ts)
 *     waits_for_root = true                 # optional: a second process of it waits until the first let go of its root
 *     config_schema = "config.schema.json"  # optional: JSON Schema of its configuration table
 *
 *     [limits]                              # optional: of its own cgroup
 *     memory_bytes = 268435456
 *     pids = 64
 *     cpus = 1.5
 *
 *     [deadlines]                           # optional: of its calls by class (call-classes.ts)
 *     change_seconds = 60
 *
 * `address = "/path/of.sock"` in place of `executable`: somebody else runs it.
 */
import { dirname, isAbsolute, resolve } from 'node:path'
import { parse } from 'smol-toml'
import * as z from 'zod'
import { invalidArgument, messageOf } from '#api/errors/errors.ts'
import { kindTraits, type PluginKind, pluginKinds } from './kinds.ts'
import type { Limits, PluginSource } from './spec.ts'

const seconds = z.number().positive().max(86_400).optional()
const capabilityName = z.string().regex(/^(CAP_)?[A-Z_]+$/, 'must be a name of capabilities(7), such as "SYS_ADMIN"')

const manifestSchema = z
  .strictObject({
    id: z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'must be lower-case words joined by "-"'),
    kind: z.enum(pluginKinds),
    version: z
      .string()
      .regex(/^[\w.+-]{0,64}$/, 'must be letters, digits and ". + - _"')
      .default(''),
    executable: z.array(z.string()).min(1).optional(),
    address: z.string().optional(),
    capabilities: z.array(z.string()).default([]),
    linux_capabilities: z.array(capabilityName).optional(),
    waits_for_root: z.boolean().default(false),
    config_schema: z.string().optional(),
    limits: z
      .strictObject({
        memory_bytes: z
          .int()
          .min(1024 * 1024)
          .optional(),
        pids: z.int().min(1).optional(),
        cpus: z.number().positive().optional(),
      })
      .default({}),
    deadlines: z.strictObject({ query_seconds: seconds, change_seconds: seconds, bulk_seconds: seconds }).default({}),
  })
  .refine(({ executable, address }) => (executable === undefined) !== (address === undefined), {
    message: 'needs either "executable" or "address"',
  })
  .refine(({ kind, executable }) => kindTraits[kind].starts !== 'per container' || executable?.length === 1, {
    message: 'a runtime is one executable, without arguments: the shim gets its own',
  })

export interface Manifest {
  readonly kind: PluginKind
  readonly id: string
  readonly version: string
  readonly capabilities: readonly string[]
  readonly source: PluginSource
  /** Without the `CAP_`; undefined: what its kind needs. */
  readonly linuxCapabilities: readonly string[] | undefined
  readonly limits: Limits
  /** Milliseconds by call class, where it asks for other ones. */
  readonly deadlines: Readonly<Partial<Record<'query' | 'change' | 'bulk', number>>>
  readonly waitsForRoot: boolean
  /** Path of the JSON Schema of its configuration table. */
  readonly configSchemaPath: string | undefined
  /** Where it was read. */
  readonly path: string
}

/** One manifest. INVALID_ARGUMENT with `path` in front. */
export function parseManifest(text: string, path: string): Manifest {
  const result = manifestSchema.safeParse(parseToml(text, path))
  if (!result.success) {
    const faults = result.error.issues.map(issue => [issue.path.join('.'), issue.message].filter(Boolean).join(': '))
    throw invalidArgument(`plugin manifest ${path}: ${faults.join('; ')}`)
  }
  const { executable, address, limits, deadlines, ...rest } = result.data
  const folder = dirname(path)
  return {
    kind: rest.kind,
    id: rest.id,
    version: rest.version,
    capabilities: rest.capabilities,
    source: address === undefined ? { argv: argvOf(executable ?? [], folder) } : { address },
    linuxCapabilities: rest.linux_capabilities?.map(name => name.replace(/^CAP_/, '')),
    limits: defined({ memoryBytes: limits.memory_bytes, pids: limits.pids, cpus: limits.cpus }),
    deadlines: defined({
      query: milliseconds(deadlines.query_seconds),
      change: milliseconds(deadlines.change_seconds),
      bulk: milliseconds(deadlines.bulk_seconds),
    }),
    waitsForRoot: rest.waits_for_root,
    configSchemaPath: rest.config_schema === undefined ? undefined : resolve(folder, rest.config_schema),
    path,
  }
}

function milliseconds(value: number | undefined): number | undefined {
  return value === undefined ? undefined : value * 1000
}

/** Without the keys whose value is undefined. */
function defined<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as never
}

function parseToml(text: string, path: string): unknown {
  try {
    return parse(text)
  } catch (cause) {
    throw invalidArgument(`plugin manifest ${path}: ${messageOf(cause)}`, { cause })
  }
}

/** TypeScript and JavaScript run with the Node we run with; a bare name is looked up in PATH, as by execvp(3). */
function argvOf([program = '', ...args]: readonly string[], folder: string): string[] {
  if (/\.[cm]?[tj]s$/.test(program)) return [process.execPath, resolve(folder, program), ...args]
  if (isAbsolute(program) || !program.includes('/')) return [program, ...args]
  return [resolve(folder, program), ...args]
}

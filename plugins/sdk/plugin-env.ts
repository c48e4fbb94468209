/**
 * How a plugin process learns where it lives: from the environment when gantryd starts it, from flags when a person
 * or another daemon (containerd, as a proxy plugin) does.
 *
 * | variable | flag | meaning |
 * |---|---|---|
 * | `GANTRY_PLUGIN_ADDRESS` | `--address` | absolute path of the unix socket to listen on |
 * | `GANTRY_PLUGIN_ROOT` | `--root` | durable directory |
 * | `GANTRY_PLUGIN_STATE` | `--state` | volatile directory; default `<root>/state` |
 * | `GANTRY_PLUGIN_CONFIG` | `--config` | configuration table as JSON; default `{}` |
 * | `GANTRY_INSTANCE` | `--instance` | eight hexadecimal digits; default: derived from the root |
 * | `GANTRY_LOG_LEVEL` | `--log-level` | default `info` |
 * | `GANTRY_PLUGIN_ID`, `GANTRY_PLUGIN_KIND` | | what the caller believes it starts; must match |
 * | `GANTRY_PLUGIN_WATCH_STDIN` | | `1`: stdin is a pipe held by the parent; its end means the parent is gone |
 *
 * A flag wins over its variable.
 */
import { createHash } from 'node:crypto'
import { isAbsolute, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { invalidArgument, messageOf } from '#api/errors/errors.ts'
import { type LogLevel, logLevels } from '#api/log/log.ts'
import type { PluginIdentity } from './plugin.ts'

/** Longest path a unix socket can have (sun_path of unix(7), with its NUL). */
const maxSocketPathBytes = 107

/** Where and how a plugin process runs, checked. */
export interface ProcessSettings {
  address: string
  root: string
  state: string
  /** Not checked yet: the plugin's own `parseConfig` does. */
  rawConfig: unknown
  instance: string
  logLevel: LogLevel
  watchStdin: boolean
}

const flags = {
  address: { type: 'string' },
  root: { type: 'string' },
  state: { type: 'string' },
  config: { type: 'string' },
  instance: { type: 'string' },
  'log-level': { type: 'string' },
  help: { type: 'boolean' },
  version: { type: 'boolean' },
} as const

type Flags = ReturnType<typeof parseFlags>
type Environment = Readonly<Record<string, string | undefined>>

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: flags, strict: true }).values
  } catch (cause) {
    throw invalidArgument(messageOf(cause), { cause })
  }
}

/** What the command line asks for: to run, or only to print something. */
export type Invocation = { print: string } | { settings: ProcessSettings }

/** INVALID_ARGUMENT names the variable or flag that is missing or wrong. */
export function readInvocation(definition: PluginIdentity, args: readonly string[], env: Environment): Invocation {
  const given = parseFlags(args)
  if (given.help) return { print: usage(definition) }
  if (given.version) return { print: definition.version }
  checkIdentity(definition, env)
  return { settings: readSettings(given, env) }
}

function readSettings(given: Flags, env: Environment): ProcessSettings {
  const address = required('address', given.address ?? env.GANTRY_PLUGIN_ADDRESS).replace(/^unix:(\/\/)?/, '')
  if (!isAbsolute(address)) throw invalidArgument(`address "${address}" is not an absolute path`)
  if (Buffer.byteLength(address) > maxSocketPathBytes)
    throw invalidArgument(
      `address "${address}" is longer than the ${maxSocketPathBytes} bytes a unix socket's path can have`,
    )
  const root = resolve(required('root', given.root ?? env.GANTRY_PLUGIN_ROOT))
  return {
    address,
    root,
    state: resolve(given.state ?? env.GANTRY_PLUGIN_STATE ?? join(root, 'state')),
    rawConfig: parseJson(given.config ?? env.GANTRY_PLUGIN_CONFIG ?? '{}'),
    instance: parseInstance(given.instance ?? env.GANTRY_INSTANCE ?? digestOf(root)),
    logLevel: parseLogLevel(given['log-level'] ?? env.GANTRY_LOG_LEVEL ?? 'info'),
    watchStdin: env.GANTRY_PLUGIN_WATCH_STDIN === '1',
  }
}

function required(flag: 'address' | 'root', value: string | undefined): string {
  if (value) return value
  throw invalidArgument(`neither --${flag} nor GANTRY_PLUGIN_${flag.toUpperCase()} is given`)
}

function checkIdentity(definition: PluginIdentity, env: Environment): void {
  const wanted = { id: env.GANTRY_PLUGIN_ID ?? definition.id, kind: env.GANTRY_PLUGIN_KIND ?? definition.kind }
  if (wanted.id === definition.id && wanted.kind === definition.kind) return
  throw invalidArgument(
    `this is the ${definition.kind} "${definition.id}", not the ${wanted.kind} "${wanted.id}": check the manifest's executable`,
  )
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw invalidArgument(`configuration is not JSON: ${messageOf(cause)}`, { cause })
  }
}

function parseInstance(value: string): string {
  if (/^[0-9a-f]{8}$/.test(value)) return value
  throw invalidArgument(`instance "${value}" is not eight hexadecimal digits`)
}

function parseLogLevel(value: string): LogLevel {
  const level = logLevels.find(known => known === value)
  if (level) return level
  throw invalidArgument(`log level "${value}" is not one of ${logLevels.join(', ')}`)
}

function digestOf(root: string): string {
  return createHash('sha256').update(root).digest('hex').slice(0, 8)
}

function usage({ kind, id, version }: PluginIdentity): string {
  return `gantry-${kind}-${id} ${version}: the ${kind} plugin "${id}" as a process of its own.

  --address PATH    unix socket to serve on (or GANTRY_PLUGIN_ADDRESS)
  --root DIR        durable directory (or GANTRY_PLUGIN_ROOT)
  --state DIR       volatile directory; default <root>/state
  --config JSON     configuration table; default {}
  --instance HEX    eight hexadecimal digits for names global to the kernel
  --log-level L     ${logLevels.join(' | ')}; default info
  --version         print the version

gantryd starts plugins by itself. Under containerd: [proxy_plugins.${id}] with the socket as its address.`
}

/**
 * gantryd's configuration: one TOML file, checked against one schema that holds the defaults. What is wrong is told
 * with file, line, key and what is allowed. Flags win over the file.
 */
import * as z from 'zod'
import { type LogLevel, logLevels } from '#api/log/log.ts'
import { type KindFolder, kindFolders } from '#core/plugins/plugins.ts'

/** Paths below state become unix sockets, whose names end at 107 bytes (unix(7)). */
const maxStateBytes = 64

const absolutePath = z.string().startsWith('/', 'must be an absolute path')
const count = z.int().min(1).max(64)
const pluginTables = z.record(z.string(), z.record(z.string(), z.unknown())).default({})
const tableOfEachKind = Object.fromEntries(kindFolders.map(folder => [folder, pluginTables])) as Record<
  KindFolder,
  typeof pluginTables
>

/** Every key with its default; unknown keys are refused. Keys carry their units. */
export const configSchema = z.strictObject({
  root: absolutePath.default('/var/lib/gantry'),
  state: absolutePath
    .refine(path => Buffer.byteLength(path) <= maxStateBytes, `must not be longer than ${maxStateBytes} bytes`)
    .default('/run/gantry'),
  address: z
    .string()
    .regex(/^(|\/.+)$/, 'must be an absolute path, or empty for <state>/gantryd.sock')
    .default(''),
  log_level: z.enum(logLevels).default('info'),
  group: z.string().default('gantry'),
  plugin_directories: z.array(absolutePath).default(['/etc/gantry/plugins.d']),
  containers: z
    .strictObject({
      snapshotter: z.string().min(1).default('overlayfs'),
      runtime: z.string().min(1).default('io.containerd.gantry.v1'),
      runtimes: z.record(z.string(), z.string().min(1)).default({ 'io.containerd.runc.v2': 'io.containerd.gantry.v1' }),
      cgroup_driver: z.enum(['cgroupfs', 'systemd']).default('cgroupfs'),
    })
    .prefault({}),
  restart: z.strictObject({ interval_seconds: z.number().min(0.1).max(3600).default(10) }).prefault({}),
  content: z.strictObject({ sharing_policy: z.enum(['shared', 'isolated']).default('shared') }).prefault({}),
  diff: z.strictObject({ order: z.array(z.string().min(1)).default([]) }).prefault({}),
  gc: z
    .strictObject({
      pause_threshold: z.number().min(0).max(0.5).default(0.02),
      deletion_threshold: z.int().min(0).default(0),
      mutation_threshold: z.int().min(0).default(100),
      schedule_delay_ms: z.int().min(0).default(0),
      startup_delay_ms: z.int().min(0).default(100),
    })
    .prefault({}),
  registry: z
    .strictObject({
      host_directory: absolutePath.default('/etc/gantry/certs.d'),
      max_downloads: count.default(3),
      max_uploads: count.default(3),
      max_unpacks: count.default(2),
    })
    .prefault({}),
  metrics: z
    .strictObject({
      address: z
        .string()
        .regex(/^(|.+:\d+)$/, 'must be host:port')
        .default(''),
    })
    .prefault({}),
  tracing: z
    .strictObject({
      endpoint: z
        .string()
        .regex(/^(|https?:\/\/.+)$/, 'must be a URL such as http://127.0.0.1:4318/v1/traces')
        .default(''),
      sample_ratio: z.number().min(0).max(1).default(0),
    })
    .prefault({}),
  plugins: z.strictObject(tableOfEachKind).prefault({}),
})

export type Config = z.infer<typeof configSchema>

/** What the command line may say instead of the file. */
export interface ConfigFlags {
  root?: string | undefined
  state?: string | undefined
  address?: string | undefined
  logLevel?: LogLevel | undefined
}

export const defaultConfigPath = '/etc/gantry/config.toml'

/** `gantryd config default`: the text that gives exactly the defaults; a test keeps it so. */
export const defaultConfigText = `# Gantry's configuration. Every key is here with its default; leave out what you do not change.
# Flags of gantryd (--root, --state, --address, --log-level) win over this file.

# Durable data: metadata, content, snapshots, logs.
root = "/var/lib/gantry"

# Volatile data: sockets, bundles, pinned network namespaces. At most ${maxStateBytes} bytes long. Two gantryd with different
# root and state live side by side.
state = "/run/gantry"

# Unix socket of the API; empty: <state>/gantryd.sock. Shims hand in their events at <address>.ttrpc.
address = ""

# ${logLevels.join(', ')}
log_level = "info"

# Members of this group may use the API, which makes them root. Ignored where there is no such group.
group = "gantry"

# Folders with further plugins: <name>.toml or <folder>/plugin.toml; they are watched. gctr plugins add puts its own into
# <root>/plugins.
plugin_directories = ["/etc/gantry/plugins.d"]

[containers]
# For containers that name none.
snapshotter = "overlayfs"
runtime = "io.containerd.gantry.v1"
# Names that clients ask for, and the runtime that serves them instead (docs/adr/0007). A container that names an OCI
# runtime's executable (BinaryName) gets the runtime it asks for, and so does every name with runtimes = {}.
runtimes = { "io.containerd.runc.v2" = "io.containerd.gantry.v1" }
# "cgroupfs", or "systemd" where systemd is the one that makes cgroups.
cgroup_driver = "cgroupfs"

[restart]
# Least time between two starts of a container that carries containerd's restart labels.
interval_seconds = 10

[content]
# "shared": a namespace gets a blob another one has by naming its digest. "isolated": it must bring the bytes, but for
# blobs of namespaces labelled containerd.io/namespace.shareable=true.
sharing_policy = "shared"

[diff]
# Who unpacks and packs layers: ids of differs, and "builtin" for our own. Those that declare a layer's media type are asked
# also when they are not named here; our own last, unless it is named.
order = []

# When garbage is collected; containerd's knobs.
[gc]
# Share of time that collections may take, at most 0.5.
pause_threshold = 0.02
# So many deletions make a collection due at once; 0: a deletion makes it due in its turn.
deletion_threshold = 0
# So many writes make one due; 0: writes alone never do.
mutation_threshold = 100
# From being due to running.
schedule_delay_ms = 0
# From the start of the daemon to the first one.
startup_delay_ms = 100

[registry]
# <host>/hosts.toml in here says how to reach a registry or its mirrors (containerd's format).
host_directory = "/etc/gantry/certs.d"
# Blobs at once, and layers unpacked at once, for the whole daemon.
max_downloads = 3
max_uploads = 3
max_unpacks = 2

[metrics]
# host:port of an HTTP server with Prometheus' metrics at /v1/metrics; empty: none. No access control: keep it on loopback.
address = ""

# A call that brings a sampled W3C traceparent is traced whatever is said here, and gctr trace shows it.
[tracing]
# OpenTelemetry collector that gets the spans too (OTLP over HTTP), such as "http://127.0.0.1:4318/v1/traces"; empty: none.
endpoint = ""
# Share of the calls without a traceparent that begin a trace: 0 none, 1 all.
sample_ratio = 0

# A table for each plugin: its own settings, and two of ours: address = "..." (somebody else runs it),
# disabled = true (as if it were not installed).
[plugins.snapshotters.overlayfs]

[plugins.networks.bridge]

[plugins.gateways]

[plugins.builders]
`

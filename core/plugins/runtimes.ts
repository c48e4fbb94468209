/** Runtimes by the names that containers ask for. */
import { basename } from 'node:path'
import { failedPrecondition, invalidArgument } from '#api/errors/errors.ts'
import { Options as RuncOptions } from '#api/gen/containerd/runc/v1/options.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'
import { Options as PlainOptions } from '#api/gen/runtimeoptions/v1/options.ts'
import type { PluginSpec } from './spec.ts'
import type { Supervisor } from './supervisor.ts'

/** A registered shim. */
export interface RegisteredShim {
  readonly path: string
  /** Its plugin's configuration, for containers that bring no options. */
  readonly options: Any | undefined
}

/**
 * The runtime plugin with the id `name`, or the one whose executable is called `file`, as `containerd-shim-runc-v2` is for
 * `io.containerd.runc.v2`. FAILED_PRECONDITION: it is disabled, or its configuration is refused.
 */
export function findRuntime(
  supervisor: Pick<Supervisor, 'specs'>,
  name: string,
  file: string | undefined,
): RegisteredShim | undefined {
  const specs = supervisor.specs('runtime')
  const spec = specs.find(({ id }) => id === name) ?? specs.find(one => file !== undefined && fileOf(one) === file)
  if (spec === undefined) return undefined
  if ('unusable' in spec.source)
    throw failedPrecondition(`runtime "${spec.id}" cannot be used: ${spec.source.unusable}`)
  return { path: pathOf(spec), options: optionsOf(spec) }
}

/** Whether a container that asks for `runtime` is served by the plugin `spec`. */
export function serves(spec: PluginSpec, runtime: string): boolean {
  return runtime === spec.id || (runtime.includes('.') && fileOf(spec) === `containerd-shim-${lastTwo(runtime)}`)
}

const lastTwo = (runtime: string) => runtime.split('.').slice(-2).join('-')

function pathOf({ source }: PluginSpec): string {
  return 'argv' in source ? (source.argv[0] ?? '') : ''
}

function fileOf(spec: PluginSpec): string {
  return basename(pathOf(spec))
}

/** What a capability must say for a configuration to be given as runc's own options. */
const runcOptions = 'containerd.runc.v1.Options'
const plainOptions = 'runtimeoptions.v1.Options'

/**
 * The configuration table as the shim takes it: as runc's options for one that says so among its capabilities, else as
 * JSON in the message that containerd has for runtimes it does not know.
 */
function optionsOf({ id, config, capabilities }: PluginSpec): Any | undefined {
  if (Object.keys(config).length === 0) return undefined
  if (capabilities.includes(runcOptions))
    return { typeUrl: runcOptions, value: Buffer.from(RuncOptions.encode(asRunc(id, config)).finish()) }
  const body = PlainOptions.fromPartial({
    typeUrl: 'application/json',
    configBody: Buffer.from(JSON.stringify(config)),
  })
  return { typeUrl: plainOptions, value: Buffer.from(PlainOptions.encode(body).finish()) }
}

/** `BinaryName` (containerd's spelling), `binary_name` and `binaryName` are one key. INVALID_ARGUMENT: it is none. */
function asRunc(id: string, config: PluginSpec['config']): RuncOptions {
  const plain = (key: string) => key.replaceAll('_', '').toLowerCase()
  const known = new Map(Object.keys(RuncOptions.fromPartial({})).map(key => [plain(key), key]))
  const entries = Object.entries(config).map(([key, value]) => {
    const field = known.get(plain(key))
    if (field === undefined) throw invalidArgument(`runtime "${id}": ${runcOptions} has no "${key}"`)
    return [field, value]
  })
  return RuncOptions.fromPartial(Object.fromEntries(entries))
}

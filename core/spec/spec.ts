/**
 * The OCI runtime spec of a container, as Docker would make it from an image and some wishes.
 *
 * It is made in two halves. {@link composeSpec} decides everything that is known when the container is recorded.
 * {@link completeSpec} adds, when the task is created, what depends on things that come and go: the user (names are
 * looked up in the container's own files), the pinned network namespace, the namespaces of other containers.
 *
 * Each part of a spec has a file here, with the defaults as tables at its top.
 */
import { hostname as hostName } from 'node:os'
import { invalidArgument } from '#api/errors/errors.ts'
import type { ContainerConfig, Process } from '#api/gen/gantry/services/containers/v1/containers.ts'
import { chooseApparmorProfile } from './apparmor.ts'
import { composeBlockIo } from './block-io.ts'
import { capabilitySets, chooseCapabilities } from './capabilities.ts'
import { type CgroupNaming, composeCgroupsPath } from './cgroups.ts'
import { parseDeviceRule } from './device-rules.ts'
import { composeDevices } from './devices.ts'
import type { HostFacts } from './host.ts'
import type { ImageConfig } from './image-config.ts'
import { initArgs, initMount, usesInit } from './init.ts'
import { ipcNamespace, parseIpcMode } from './ipc.ts'
import { composeMounts } from './mounts.ts'
import { composeNamespaces, type NamespaceMode, type NamespaceModes, parseNamespaceMode } from './namespaces.ts'
import { composeArgs, composeCwd, composeEnv } from './process.ts'
import { composeResources } from './resources.ts'
import { composeRlimits } from './rlimits.ts'
import type { Spec, SpecProcess } from './runtime-spec.ts'
import { composeSeccomp } from './seccomp.ts'
import { composeSysctls } from './sysctls.ts'
import { composeSystemPaths } from './system-paths.ts'

export type { CgroupNaming } from './cgroups.ts'
export { completeProcess, completeSpec, type StartFacts } from './complete.ts'
export { type CgroupDriver, type HostFacts, readHostFacts } from './host.ts'
export { type ImageConfig, parseImageConfig } from './image-config.ts'
export { shmOptions } from './ipc.ts'
export type { NamespaceMode } from './namespaces.ts'
export { procNamespaceName } from './namespaces.ts'
export type { NamespaceType, Spec, SpecProcess } from './runtime-spec.ts'
export { decodeSpecJson, encodeSpecJson } from './spec-json.ts'
export { type AccountFiles, type ResolvedUser, resolveUser } from './users.ts'

/** `google.protobuf.Any` type of a spec's JSON text (containerd's typeurl). */
export const specTypeUrl = 'types.containerd.io/opencontainers/runtime-spec/1/Spec'

export interface SpecRequest {
  namespace: string
  id: string
  config: ContainerConfig
  image: ImageConfig
  /** Where the core keeps the container's own /etc/hosts and so on. */
  files: { hosts: string; resolvConf: string; hostname: string }
}

export interface SpecHost extends HostFacts {
  cgroup: CgroupNaming
}

export interface ComposedSpec {
  spec: Spec
  /** Wishes that this host cannot fulfil as asked. */
  warnings: string[]
}

/** Composes the first half. INVALID_ARGUMENT names the field and its value; FAILED_PRECONDITION for `init` on a host without one. */
export async function composeSpec(request: SpecRequest, host: SpecHost): Promise<ComposedSpec> {
  const { config } = request
  const ipc = parseIpcMode(config.ipcMode)
  const modes = { ...namespaceModes(config, host), ipc: ipcNamespace(ipc) }
  const capabilities = chooseCapabilities({
    add: config.addCapabilities,
    drop: config.dropCapabilities,
    privileged: config.privileged,
    available: host.capabilities,
  })
  const { devices, rules } = await composeDevices(config.devices, config.privileged)
  const { resources, warnings } = composeResources(
    config.resources,
    [...rules, ...config.deviceCgroupRules.map(parseDeviceRule)],
    { cpus: host.cpus, unified: host.cgroups === 'v2' },
  )
  const blockIO = await composeBlockIo(config.resources)
  const apparmor = chooseApparmorProfile(config, host)
  const limits = composeRlimits(config.ulimits, host.hardLimits)
  const seccomp =
    config.privileged && !config.seccompProfile ? undefined : composeSeccomp(config.seccompProfile, capabilities, host)
  const spec: Spec = {
    ociVersion: '1.1.0',
    root: { path: 'rootfs', ...(config.readOnlyRoot && { readonly: true }) },
    process: {
      ...composeProcess(request, modes, capabilities),
      ...(limits.rlimits.length > 0 && { rlimits: limits.rlimits }),
      ...(apparmor.profile && { apparmorProfile: apparmor.profile }),
    },
    ...(modes.uts.kind === 'private' && { hostname: hostnameOf(request, modes.uts) }),
    ...(modes.uts.kind === 'private' && config.domainname && { domainname: config.domainname }),
    mounts: [
      ...composeMounts({ ...config, ipc, files: request.files }),
      ...(usesInit({ ...config, ...modes }) ? [initMount(host.initPath)] : []),
    ],
    annotations: config.annotations,
    linux: {
      namespaces: composeNamespaces(modes),
      cgroupsPath: composeCgroupsPath(
        { driver: config.cgroupDriver, parent: config.cgroupParent },
        host.cgroup,
        request.namespace,
        request.id,
      ),
      devices,
      resources: { ...resources, ...(blockIO && { blockIO }) },
      sysctl: composeSysctls(config.sysctls, modes),
      ...composeSystemPaths(config),
      ...(seccomp && { seccomp }),
    },
  }
  return { spec, warnings: [...warnings, ...limits.warnings, ...apparmor.warnings] }
}

/** Where the container's network comes from: `host` and `container:ID` are no networks of the core. INVALID_ARGUMENT when mixed. */
export function networkMode(config: Pick<ContainerConfig, 'networks'>): NamespaceMode {
  const names = config.networks.map(attachment => attachment.network)
  const special = names.find(name => name === 'host' || name === 'none' || name.startsWith('container:'))
  if (special === undefined) return { kind: 'private' }
  if (names.length > 1)
    throw invalidArgument(`network "${special}" cannot be combined with others (${names.join(', ')})`)
  return special === 'none' ? { kind: 'private' } : parseNamespaceMode('network', special)
}

function namespaceModes(config: ContainerConfig, host: SpecHost): Omit<NamespaceModes, 'ipc'> {
  const cgroupDefault = host.cgroups === 'v2' ? 'private' : 'host'
  return {
    pid: parseNamespaceMode('pid_mode', config.pidMode),
    uts: parseNamespaceMode('uts_mode', config.utsMode),
    cgroup: parseNamespaceMode('cgroup_mode', config.cgroupMode || cgroupDefault),
    network: networkMode(config),
  }
}

/** Docker's: the first twelve digits of the id, or the host's own name. INVALID_ARGUMENT past 64 bytes (sethostname(2)). */
export function hostnameOf({ id, config }: Pick<SpecRequest, 'id' | 'config'>, uts: NamespaceMode): string {
  if (uts.kind === 'host') return hostName()
  const name = config.hostname || id.slice(0, 12)
  if (Buffer.byteLength(name) > 64) throw invalidArgument(`hostname "${name}" is longer than 64 bytes`)
  return name
}

const noProcess: Pick<Process, 'args' | 'entrypoint' | 'overrideEntrypoint' | 'env' | 'terminal' | 'cwd'> = {
  args: [],
  entrypoint: [],
  overrideEntrypoint: false,
  env: [],
  terminal: false,
  cwd: '',
}

function composeProcess(request: SpecRequest, modes: NamespaceModes, capabilities: string[]): SpecProcess {
  const { config, image } = request
  const wish = config.process ?? noProcess
  const { consoleRows: height = 0, consoleColumns: width = 0 } = config.process ?? {}
  const args = composeArgs(wish, image)
  return {
    terminal: wish.terminal,
    ...(wish.terminal && height > 0 && width > 0 && { consoleSize: { height, width } }),
    user: { uid: 0, gid: 0, username: config.process?.user ?? '' },
    args: usesInit({ ...config, ...modes }) ? initArgs(args) : args,
    env: composeEnv(wish, image, hostnameOf(request, modes.uts)),
    cwd: composeCwd(wish.cwd, image),
    capabilities: capabilitySets(capabilities),
    noNewPrivileges: config.noNewPrivileges,
    ...(config.oomScoreAdj !== undefined && { oomScoreAdj: config.oomScoreAdj }),
  }
}

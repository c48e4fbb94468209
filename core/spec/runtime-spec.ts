/** The parts of the OCI runtime spec (config.md, config-linux.md, 1.2) that Gantry composes. JSON names are the spec's. */

export interface Spec {
  ociVersion: string
  root: { path: string; readonly?: boolean }
  process: SpecProcess
  hostname?: string
  domainname?: string
  mounts: SpecMount[]
  linux: SpecLinux
  annotations?: Record<string, string>
}

export interface SpecProcess {
  terminal?: boolean
  consoleSize?: { height: number; width: number }
  user: SpecUser
  args: string[]
  env: string[]
  cwd: string
  capabilities?: Capabilities
  rlimits?: Rlimit[]
  noNewPrivileges?: boolean
  apparmorProfile?: string
  oomScoreAdj?: number
}

export interface SpecUser {
  uid: number
  gid: number
  /** In a record: the user as named by the image or the request, for processes made later. Runtimes on Linux ignore it. */
  username?: string
  umask?: number
  additionalGids?: number[]
}

export interface Capabilities {
  bounding: string[]
  effective: string[]
  permitted: string[]
  inheritable: string[]
  ambient: string[]
}

export interface Rlimit {
  type: string
  soft: number | bigint
  hard: number | bigint
}

export interface SpecMount {
  destination: string
  type: string
  source: string
  options: string[]
}

export interface SpecLinux {
  namespaces: SpecNamespace[]
  cgroupsPath: string
  devices: SpecDevice[]
  resources: SpecResources
  sysctl: Record<string, string>
  maskedPaths: string[]
  readonlyPaths: string[]
  seccomp?: Seccomp
  rootfsPropagation?: string
}

export type NamespaceType = 'pid' | 'network' | 'mount' | 'ipc' | 'uts' | 'cgroup' | 'user'

export interface SpecNamespace {
  type: NamespaceType
  /** Absent: a new one. */
  path?: string
}

export interface SpecDevice {
  path: string
  type: 'c' | 'b' | 'p'
  major: number
  minor: number
  /** Permission bits. */
  fileMode?: number
  uid?: number
  gid?: number
}

export interface DeviceRule {
  allow: boolean
  type?: 'a' | 'c' | 'b'
  major?: number
  minor?: number
  access: string
}

export interface SpecResources {
  devices: DeviceRule[]
  memory?: { limit?: number; reservation?: number; swap?: number; swappiness?: number; disableOOMKiller?: boolean }
  cpu?: { shares?: number; quota?: number; period?: number; cpus?: string; mems?: string }
  pids?: { limit: number }
  blockIO?: SpecBlockIo
}

interface BlockDevice {
  major: number
  minor: number
}

export interface SpecBlockIo {
  weight?: number
  weightDevice?: (BlockDevice & { weight: number })[]
  throttleReadBpsDevice?: (BlockDevice & { rate: number })[]
  throttleWriteBpsDevice?: (BlockDevice & { rate: number })[]
  throttleReadIOPSDevice?: (BlockDevice & { rate: number })[]
  throttleWriteIOPSDevice?: (BlockDevice & { rate: number })[]
}

export interface Seccomp {
  defaultAction: string
  defaultErrnoRet?: number
  architectures?: string[]
  flags?: string[]
  syscalls: SeccompRule[]
}

export interface SeccompRule {
  names: string[]
  action: string
  errnoRet?: number
  args?: { index: number; value: number; valueTwo?: number; op: string }[]
}

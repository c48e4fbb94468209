/** From flags to the wish that ContainersService.Create takes. Each flag's own syntax is one small function. */
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { invalidArgument } from '#api/errors/errors.ts'
import type { PortMapping } from '#api/gen/gantry/network/v1/network.ts'
import { ContainerConfig, type Device, type Ulimit } from '#api/gen/gantry/services/containers/v1/containers.ts'
import type { ContainerFlags } from './flags.ts'
import { imageReference } from './image-reference.ts'
import { mountOption, tmpfsOption, volumeOption } from './mount-options.ts'
import { parsePairs } from './output/labels.ts'
import { parseBytes } from './output/units.ts'

/** INVALID_ARGUMENT names the flag and its value. */
export function containerConfig(image: string, args: readonly string[], flags: ContainerFlags): ContainerConfig {
  const security = flags.securityOpt.map(securityOption)
  return ContainerConfig.fromPartial({
    id: flags.name ?? '',
    image: imageReference(image),
    snapshotter: flags.snapshotter ?? '',
    runtime: flags.runtime ?? '',
    process: {
      args: [...args],
      entrypoint: flags.entrypoint ? [flags.entrypoint] : [],
      overrideEntrypoint: flags.entrypoint !== undefined,
      env: [...flags.envFile.flatMap(envFileLines), ...flags.env.flatMap(hostValue)],
      cwd: flags.workdir ?? '',
      user: flags.user ?? '',
      additionalGroups: flags.groupAdd,
      terminal: flags.tty ?? false,
      stdin: stdinMode(flags),
      consoleRows: process.stdout.rows ?? 0,
      consoleColumns: process.stdout.columns ?? 0,
    },
    hostname: flags.hostname ?? '',
    mounts: [...flags.mount.map(mountOption), ...flags.volume.map(volumeOption), ...flags.tmpfs.map(tmpfsOption)],
    resources: resources(flags),
    networks: networks(flags),
    privileged: flags.privileged ?? false,
    readOnlyRoot: flags.readOnly ?? false,
    addCapabilities: flags.capAdd,
    dropCapabilities: flags.capDrop,
    seccompProfile: security.find(option => option.seccomp !== undefined)?.seccomp ?? '',
    noNewPrivileges: security.some(option => option.noNewPrivileges),
    apparmorProfile: security.find(option => option.apparmor !== undefined)?.apparmor ?? '',
    pidMode: flags.pid ?? '',
    ipcMode: flags.ipc ?? '',
    utsMode: flags.uts ?? '',
    devices: flags.device.map(deviceOption),
    sysctls: parsePairs(flags.sysctl, '--sysctl'),
    ulimits: flags.ulimit.map(ulimitOption),
    log: {
      driver: flags.logDriver ?? '',
      maxSizeBytes: flags.logMaxSize === undefined ? 0n : parseBytes(flags.logMaxSize, '--log-max-size'),
      maxFiles: wholeNumber(flags.logMaxFiles, '--log-max-files'),
    },
    labels: parsePairs(flags.label, '--label'),
    annotations: parsePairs(flags.annotation, '--annotation'),
    platform: flags.platform ?? '',
    extraHosts: flags.addHost.map(hostLine),
    ...(flags.dns.length + flags.dnsSearch.length + flags.dnsOption.length > 0
      ? { dns: { nameservers: flags.dns.map(nameServer), search: flags.dnsSearch, options: flags.dnsOption } }
      : {}),
    shmSizeBytes: flags.shmSize === undefined ? 0n : parseBytes(flags.shmSize, '--shm-size'),
    cgroupDriver: flags.cgroupDriver ?? '',
    cgroupParent: flags.cgroupParent ?? '',
    init: flags.init ?? false,
    restartPolicy: flags.restart === undefined ? undefined : restartOption(flags.restart),
  })
}

/** `on-failure:3` in its two parts; what is allowed is the daemon's to say. */
export function restartOption(text: string): { name: string; maxRetries: number } {
  const [name = '', retries, ...rest] = text.split(':')
  if (rest.length > 0) throw invalidArgument(`--restart "${text}" is no policy`)
  return { name, maxRetries: wholeNumber(retries, '--restart') }
}

function networks(flags: ContainerFlags) {
  const names = flags.network.length > 0 ? flags.network : ['bridge']
  const options = parsePairs(flags.networkOpt, '--network-opt')
  return names.map((network, index) => ({
    network,
    interfaceName: '',
    addresses: index === 0 ? [flags.ip, flags.ip6].filter(address => address !== undefined) : [],
    mac: index === 0 ? (flags.macAddress ?? '') : '',
    aliases: flags.networkAlias,
    links: index === 0 ? parseLinks(flags.link) : {},
    options,
    ports: index === 0 ? flags.publish.flatMap(publishOption) : [],
  }))
}

/** `container[:alias]`. */
export function parseLinks(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map(text => {
      const [target = '', alias = target] = text.split(':')
      if (target === '' || alias === '') throw invalidArgument(`--link "${text}" is not of the form container[:alias]`)
      return [alias, target]
    }),
  )
}

/** `[ip:][hostPort[-end]:]containerPort[-end][/proto]`. */
export function publishOption(text: string): PortMapping[] {
  const [, ip = '', host, container = '', protocol = 'tcp'] =
    /^(?:(\[[0-9a-fA-F:]+\]|\d+\.\d+\.\d+\.\d+):)?(?:(\d*(?:-\d+)?):)?(\d+(?:-\d+)?)(?:\/(tcp|udp|sctp))?$/.exec(
      text,
    ) ?? []
  if (container === '')
    throw invalidArgument(`--publish "${text}" is not of the form [ip:][hostPort:]containerPort[/tcp|udp|sctp]`)
  const containerPorts = portRange(container, text)
  const hostPorts = host ? portRange(host, text) : containerPorts.map(() => 0)
  if (hostPorts.length !== containerPorts.length)
    throw invalidArgument(
      `--publish "${text}" maps ${hostPorts.length} host ports to ${containerPorts.length} container ports`,
    )
  const [containerPort = 0, hostPort = 0] = [containerPorts[0], hostPorts[0]]
  return [{ protocol, hostPort, containerPort, hostIp: ip.replace(/^\[|\]$/g, ''), count: containerPorts.length }]
}

function portRange(text: string, whole: string): number[] {
  const [first = 0, last = first] = text.split('-').map(Number)
  if (first < 1 || last > 65_535 || last < first)
    throw invalidArgument(`--publish "${whole}": ports go from 1 to 65535, the lower one first`)
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}

/**
 * A client that feeds standard input and leaves ends it (`once`); not that of a terminal, nor of a container that nobody
 * is attached to at first: there others come.
 */
export function stdinMode(flags: { interactive?: boolean; tty?: boolean; detach?: boolean }): string {
  if (!flags.interactive) return 'none'
  return flags.tty || flags.detach ? 'open' : 'once'
}

/** `K` alone takes the value of this process' environment, as in Docker. */
export function hostValue(word: string): string[] {
  if (word.includes('=')) return [word]
  const value = process.env[word]
  return value === undefined ? [] : [`${word}=${value}`]
}

function readFlagFile(path: string, flag: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw invalidArgument(`${flag} "${path}" cannot be read (${(cause as NodeJS.ErrnoException).code})`, { cause })
  }
}

function envFileLines(path: string): string[] {
  return readFlagFile(path, '--env-file')
    .split('\n')
    .map(line => line.trimStart())
    .filter(line => line !== '' && !line.startsWith('#'))
    .flatMap(hostValue)
}

/** `name:address`. */
function hostLine(text: string): string {
  const [, name, address = ''] = /^([^:]+):(.+)$/.exec(text) ?? []
  if (name === undefined || (address !== 'host-gateway' && !isIP(address.replace(/^\[|\]$/g, ''))))
    throw invalidArgument(`--add-host "${text}" is not of the form name:address or name:host-gateway`)
  return text
}

function nameServer(text: string): string {
  if (!isIP(text)) throw invalidArgument(`--dns "${text}" is no IP address`)
  return text
}

function deviceOption(text: string): Device {
  const [hostPath = '', second, permissions = ''] = text.split(':')
  const isPermissions = second !== undefined && /^[rwm]+$/.test(second)
  return {
    hostPath,
    containerPath: isPermissions ? hostPath : (second ?? hostPath),
    permissions: isPermissions ? second : permissions,
  }
}

function ulimitOption(text: string): Ulimit {
  const [, name = '', soft = '', hard = soft] = /^(\w+)=(\d+)(?::(\d+))?$/.exec(text) ?? []
  if (name === '') throw invalidArgument(`--ulimit "${text}" is not of the form name=soft[:hard]`)
  return { name, soft: BigInt(soft), hard: BigInt(hard) }
}

function securityOption(text: string): { seccomp?: string; noNewPrivileges?: boolean; apparmor?: string } {
  const [, key = text, value = ''] = /^([\w-]+)[=:](.*)$/.exec(text) ?? []
  if (key === 'no-new-privileges') return { noNewPrivileges: value !== 'false' }
  if (key === 'apparmor') return { apparmor: value }
  if (key === 'seccomp')
    return { seccomp: value === 'unconfined' ? value : readFlagFile(value, '--security-opt seccomp') }
  throw invalidArgument(
    `--security-opt "${text}" is not known; use seccomp=unconfined, seccomp=FILE, apparmor=PROFILE or no-new-privileges`,
  )
}

function resources(flags: ContainerFlags) {
  const bytes = (text: string | undefined, flag: string) =>
    text === undefined ? 0n : text === '-1' ? -1n : parseBytes(text, flag)
  return {
    memoryBytes: bytes(flags.memory, '--memory'),
    memorySwapBytes: bytes(flags.memorySwap, '--memory-swap'),
    nanoCpus: BigInt(Math.round(realNumber(flags.cpus, '--cpus') * 1e9)),
    cpuShares: BigInt(wholeNumber(flags.cpuShares, '--cpu-shares')),
    cpusetCpus: flags.cpusetCpus ?? '',
    pidsLimit: BigInt(wholeNumber(flags.pidsLimit, '--pids-limit')),
  }
}

function realNumber(text: string | undefined, flag: string): number {
  const value = Number(text ?? 0)
  if (Number.isNaN(value)) throw invalidArgument(`${flag} "${text}" is no number`)
  return value
}

function wholeNumber(text: string | undefined, flag: string): number {
  const value = realNumber(text, flag)
  if (!Number.isInteger(value)) throw invalidArgument(`${flag} "${text}" is no whole number`)
  return value
}

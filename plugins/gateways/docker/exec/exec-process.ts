/** The OCI process of an exec: the container's own with what was asked for. */
import { readFileSync } from 'node:fs'
import type { Any } from '#api/gen/google/protobuf/any.ts'
import type { ExecWish } from './body.ts'

const processTypeUrl = 'types.containerd.io/opencontainers/runtime-spec/1/Process'

export interface OciProcess {
  user?: { uid: number; gid: number; username?: string }
  env?: string[]
  capabilities?: Record<string, string[]>
  consoleSize?: { height: number; width: number }
  [member: string]: unknown
}

/** The first process of a container, whose OCI spec is `spec`. */
export function specProcess(spec: Any | undefined): OciProcess {
  if (spec === undefined) return {}
  const { process = {} } = JSON.parse(spec.value.toString()) as { process?: OciProcess }
  return process
}

/** `base`: the container's first one. */
export function execProcess(base: Readonly<OciProcess>, wish: ExecWish): Any {
  const { rlimits, ...rest } = base
  const [height = 0, width = 0] = wish.ConsoleSize ?? []
  const process: OciProcess = {
    ...rest,
    ...(rlimits !== undefined && { rlimits }),
    args: wish.Cmd ?? [],
    terminal: wish.Tty,
    env: withEnvironment(base.env ?? [], [...(wish.Tty ? ['TERM=xterm'] : []), ...(wish.Env ?? [])]),
    ...(wish.WorkingDir && { cwd: wish.WorkingDir }),
    // The core looks the name up in the container's files.
    ...(wish.User && { user: { uid: 0, gid: 0, username: wish.User } }),
    ...(wish.Privileged && { capabilities: allCapabilities() }),
    ...(height > 0 && width > 0 && { consoleSize: { height, width } }),
  }
  return { typeUrl: processTypeUrl, value: Buffer.from(JSON.stringify(process)) }
}

/** Later values win; a name without "=" takes a variable away. */
function withEnvironment(base: readonly string[], added: readonly string[]): string[] {
  const variables = new Map<string, string>()
  for (const entry of [...base, ...added]) {
    const equals = entry.indexOf('=')
    if (equals < 0) variables.delete(entry)
    else variables.set(entry.slice(0, equals), entry)
  }
  return [...variables.values()]
}

/** In the order of linux/capability.h. */
const names =
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'.split(
    ' ',
  )

/** Those that this host lets anybody have: our own bounding set. */
function allCapabilities(): Record<string, string[]> {
  const [, bits = '0'] = /^CapBnd:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  const mask = BigInt(`0x${bits}`)
  const all = names.filter((_, bit) => (mask >> BigInt(bit)) & 1n).map(name => `CAP_${name}`)
  return { bounding: all, effective: all, permitted: all }
}

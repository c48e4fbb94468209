/**
 * What a plugin's process is kept from. It runs as root, with a bounding set of exactly the capabilities it declares
 * (so no exec gives it more), with no_new_privs, and in a cgroup of its own from its first instruction.
 *
 * `setpriv` (util-linux, essential in Debian) drops what it must not have; a shell of one line joins the cgroup before,
 * because a process that was moved later may have forked already.
 */
import type { PluginKind } from './kinds.ts'

/** For a manifest that declares none: what the work of its kind needs. */
export const defaultCapabilities: Readonly<Record<PluginKind, readonly string[]>> = {
  // Trees with foreign owners, modes, devices and trusted.* attributes; mounts.
  snapshotter: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'MKNOD', 'SETFCAP', 'SYS_ADMIN', 'LINUX_IMMUTABLE'],
  // Links, addresses and rules, in namespaces it enters; ports below 1024.
  network: ['CHOWN', 'DAC_OVERRIDE', 'NET_ADMIN', 'NET_RAW', 'NET_BIND_SERVICE', 'SYS_ADMIN', 'SYS_PTRACE'],
  // Trees as a snapshotter's, mounted where need be.
  differ: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'MKNOD', 'SETFCAP', 'SYS_ADMIN', 'LINUX_IMMUTABLE'],
  // A shim is not confined by us: it confines its container.
  runtime: [],
  // A socket for a group, and files of containers.
  gateway: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'MKNOD', 'NET_BIND_SERVICE', 'SYS_ADMIN', 'SYS_PTRACE'],
  // Reads sockets that are root's, writes what is its own.
  'log-sink': [],
  // As a sink; /dev/log and the journal are open to all.
  'log-driver': [],
  // Roots of images, mounted to be read.
  builder: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'SYS_ADMIN'],
}

const joinAndRun = 'while [ "$1" != -- ]; do echo $$ > "$1" || exit 125; shift; done; shift; exec "$@"'

export interface Confinement {
  /** Without the `CAP_`. */
  readonly linuxCapabilities: readonly string[]
  /** `cgroup.procs` files to enter. */
  readonly cgroupFiles: readonly string[]
}

/** The command that runs `argv` confined, as the same process: its pid is the plugin's. */
export function confined(argv: readonly string[], { linuxCapabilities, cgroupFiles }: Confinement): string[] {
  const bounding = ['-all', ...linuxCapabilities.map(name => `+${name.toLowerCase()}`)].join(',')
  const drop = ['setpriv', '--no-new-privs', `--bounding-set=${bounding}`, '--inh-caps=-all', '--ambient-caps=-all']
  return ['/bin/sh', '-c', joinAndRun, 'gantry-plugin', ...cgroupFiles, '--', ...drop, '--', ...argv]
}

/** Kernel parameters of a container: only those that belong to one of its own namespaces. */
import { invalidArgument } from '#api/errors/errors.ts'
import type { NamespaceMode } from './namespaces.ts'

const ipcSysctls = new Set(
  'kernel.msgmax kernel.msgmnb kernel.msgmni kernel.sem kernel.shmall kernel.shmmax kernel.shmmni kernel.shm_rmid_forced'.split(
    ' ',
  ),
)

/** Docker's: programs without capabilities may bind low ports and send ICMP echo in a network namespace of their own. */
const networkDefaults = { 'net.ipv4.ip_unprivileged_port_start': '0', 'net.ipv4.ping_group_range': '0 2147483647' }

/** The wishes over the defaults. INVALID_ARGUMENT for a parameter of the whole host, or of a namespace that is shared. */
export function composeSysctls(
  wishes: Readonly<Record<string, string>>,
  modes: { network: NamespaceMode; ipc: NamespaceMode; uts: NamespaceMode },
): Record<string, string> {
  for (const name of Object.keys(wishes)) requireNamespaced(name, modes)
  return { ...(modes.network.kind === 'private' ? networkDefaults : {}), ...wishes }
}

function requireNamespaced(
  name: string,
  modes: { network: NamespaceMode; ipc: NamespaceMode; uts: NamespaceMode },
): void {
  const owner = owningNamespace(name)
  if (owner === undefined)
    throw invalidArgument(`sysctl "${name}" is not of a container: it is a setting of the whole host`)
  if (modes[owner].kind === 'host')
    throw invalidArgument(`sysctl "${name}" is not allowed with the ${owner} namespace of the host`)
}

function owningNamespace(name: string): 'network' | 'ipc' | 'uts' | undefined {
  if (name.startsWith('net.')) return 'network'
  if (name.startsWith('fs.mqueue.') || ipcSysctls.has(name)) return 'ipc'
  if (name === 'kernel.domainname') return 'uts'
  return undefined
}

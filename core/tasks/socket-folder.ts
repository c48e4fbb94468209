/** Where the sockets of shims lie. */
import { join } from 'node:path'

/** Longest path of a unix socket (unix(7): `sun_path` less its closing zero). */
const maxSocketPath = 107
/** A slash, and the SHA-256 in hexadecimal that a shim names its socket by. */
const socketNameLength = 65

/**
 * Folder below `state`, or `/run/gantry/s` when a socket's path there would be longer than the kernel takes. Daemons
 * may share that one: a socket's name is made of its daemon's address, too.
 */
export function shimSocketFolder(state: string): string {
  const own = join(state, 's')
  return Buffer.byteLength(own) + socketNameLength <= maxSocketPath ? own : '/run/gantry/s'
}

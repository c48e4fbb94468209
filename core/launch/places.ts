import { createHash } from 'node:crypto'
import { join } from 'node:path'

/** Paths that belong to one container; the same names always give the same paths. */
export interface Places {
  /** Durable: log and files. */
  directory: string
  hosts: string
  resolvConf: string
  hostname: string
  logFile: string
  /** Pin of its network namespace; volatile. */
  netns: string
  /** Attach socket of the first process (empty) or of an exec; short enough for sun_path (unix(7)). */
  attachSocket(execId: string): string
  /** Where its shim tells of its health. */
  healthSocket: string
}

export type PlacesOf = (ns: string, id: string) => Places

/** `root` is durable, `state` volatile and short. */
export function placesUnder(root: string, state: string): PlacesOf {
  return (ns, id) => {
    const directory = join(root, 'containers', ns, id)
    return {
      directory,
      hosts: join(directory, 'hosts'),
      resolvConf: join(directory, 'resolv.conf'),
      hostname: join(directory, 'hostname'),
      logFile: join(directory, `${id}-json.log`),
      netns: join(state, 'netns', ns, id),
      attachSocket: execId => join(state, 'a', shortName(ns, id, execId)),
      // No exec has this id: a slash is not allowed in one.
      healthSocket: join(state, 'a', shortName(ns, id, '/health')),
    }
  }
}

function shortName(...words: string[]): string {
  return createHash('sha256').update(words.join('/')).digest('hex').slice(0, 24)
}

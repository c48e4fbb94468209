/** getrlimit(2) names and values of a container's processes. */
import { invalidArgument } from '#api/errors/errors.ts'
import type { Rlimit } from './runtime-spec.ts'

const known = new Set(
  'as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack'.split(' '),
)

/** Hard limits of this daemon, by short name; what is not there is not limited. */
export type HardLimits = ReadonlyMap<string, bigint>

/**
 * INVALID_ARGUMENT for unknown names and for a soft limit above the hard one. Without CAP_SYS_RESOURCE nobody gets more than
 * the daemon has (setrlimit(2)): `ceilings` clamp, with a warning.
 */
export function composeRlimits(
  ulimits: readonly { name: string; soft: bigint; hard: bigint }[],
  ceilings: HardLimits = new Map(),
): { rlimits: Rlimit[]; warnings: string[] } {
  const warnings: string[] = []
  const rlimits = ulimits.map(({ name, soft, hard }) => {
    const short = name.toLowerCase().replace(/^rlimit_/, '')
    if (!known.has(short)) throw invalidArgument(`unknown ulimit "${name}": one of ${[...known].join(', ')}`)
    if (soft > hard) throw invalidArgument(`ulimit ${short}: soft limit ${soft} is above the hard limit ${hard}`)
    const ceiling = ceilings.get(short) ?? hard
    if (hard > ceiling) warnings.push(`ulimit ${short}: ${hard} is more than this host allows: ${ceiling} instead`)
    const least = (limit: bigint) => (limit > ceiling ? ceiling : limit)
    return { type: `RLIMIT_${short.toUpperCase()}`, soft: least(soft), hard: least(hard) }
  })
  return { rlimits, warnings }
}

/** Rows of /proc/self/limits (proc_pid_limits(5)) under the names of ulimits. */
const limitRows: Record<string, string> = {
  'Max cpu time': 'cpu',
  'Max file size': 'fsize',
  'Max data size': 'data',
  'Max stack size': 'stack',
  'Max core file size': 'core',
  'Max resident set': 'rss',
  'Max processes': 'nproc',
  'Max open files': 'nofile',
  'Max locked memory': 'memlock',
  'Max address space': 'as',
  'Max file locks': 'locks',
  'Max pending signals': 'sigpending',
  'Max msgqueue size': 'msgqueue',
  'Max nice priority': 'nice',
  'Max realtime priority': 'rtprio',
  'Max realtime timeout': 'rttime',
}

export function parseHardLimits(text: string): HardLimits {
  const rows = text.split('\n').flatMap(line => {
    const [, title = '', hard = ''] = /^(Max [a-z ]+?)\s{2,}\S+\s+(\d+)\b/.exec(line) ?? []
    const name = limitRows[title]
    return name === undefined ? [] : [[name, BigInt(hard)] as const]
  })
  return new Map(rows)
}

/** getrlimit(2) names and values of a container's processes. */
import { invalidArgument } from '#api/errors/errors.ts'
import type { Rlimit } from './runtime-spec.ts'

const known = new Set(
  'as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack'.split(' '),
)

/** INVALID_ARGUMENT for unknown names and for a soft limit above the hard one. */
export function composeRlimits(ulimits: readonly { name: string; soft: bigint; hard: bigint }[]): Rlimit[] {
  return ulimits.map(({ name, soft, hard }) => {
    const short = name.toLowerCase().replace(/^rlimit_/, '')
    if (!known.has(short)) throw invalidArgument(`unknown ulimit "${name}": one of ${[...known].join(', ')}`)
    if (soft > hard) throw invalidArgument(`ulimit ${short}: soft limit ${soft} is above the hard limit ${hard}`)
    return { type: `RLIMIT_${short.toUpperCase()}`, soft, hard }
  })
}

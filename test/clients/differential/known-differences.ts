/**
 * Where we answer otherwise than Debian's dockerd 20.10, and why it stays so. What is not in this table fails the test;
 * docs/docker-differential.md is made from it.
 */
import type { Difference } from './compare.ts'

export interface KnownDifference {
  /** Kinds of requests, as requests.ts names them. */
  kind: RegExp
  at: RegExp
  /** Of an error: what dockerd says, with its status before it when that differs. */
  theirs?: RegExp
  ours?: RegExp
  what: string
  why: string
}

export const knownDifferences: readonly KnownDifference[] = [
  {
    kind: /^container wait$/,
    at: /^status$/,
    ours: /^400 invalid condition/,
    what: '`wait` refuses a condition that there is not',
    why: 'Docker does since 20.10 as well; older ones took it for `not-running`',
  },
  {
    kind: /^network connect$/,
    at: /^status$/,
    theirs: /^200/,
    ours: /^404 network/,
    what: 'a stopped container cannot be connected to a network that does not exist',
    why: 'Docker takes it, and the next start fails',
  },
  {
    kind: /^container create$/,
    at: /^status$/,
    theirs: /^201/,
    ours: /^40[04] (network|mount target|unknown ulimit|(ipc|pid|uts)_mode|invalid)/,
    what: 'a container that could never start is refused when it is created',
    why: 'Docker 20.10 creates it: an unknown network, ulimit or IPC mode, or a volume over `/`, is told by the first start',
  },
  {
    kind: /^image (tag|remove)$|^commit$/,
    at: /^(status|\.message)$/,
    ours: /(reference format|invalid tag format|repository name must|no such image)/,
    what: 'a new name is read before the image is looked for',
    why: 'newer engines do it in this order too; with two mistakes in a request the other one is told',
  },
  {
    kind: /^network disconnect$/,
    at: /^(\.message|status)$/,
    theirs: /(not found|is not connected)/,
    ours: /no such container|^200|not found|is not connected/,
    what: '`disconnect` of something that is not there names the container first',
    why: 'both are 404 or 500; by force Docker looks for an endpoint of that name',
  },
  {
    kind: /^container (list|inspect)$/,
    at: /Networks\.\w+(\.(EndpointID|Gateway|IPAddress|IPPrefixLen|MacAddress|NetworkID|Aliases))?$|\.Ports$/,
    what: 'addresses of a container that does not run are not shown, nor ids of networks that are gone',
    why: "dockerd's list keeps what a failed start left behind until something else happens to the container",
  },
  {
    kind: /^container inspect$/,
    at: /^\.State\.(Error|ExitCode|FinishedAt)$/,
    what: 'why a start failed is told in our own words, and no time of an end that never was',
    why: 'the words are the shim’s and the core’s; the exit code is 126, 127 or 128 by the same rule',
  },
  {
    kind: /^container inspect$/,
    at: /^\.Config\.Hostname$/,
    what: 'the host name of a container in the host’s network is the host’s from the beginning',
    why: 'Docker writes it down at the first start',
  },
  {
    kind: /^container (inspect|list)$/,
    at: /\.Mounts\[\]\.Propagation$/,
    theirs: /rslave/,
    what: 'a bind of a folder that the data root lies in is not made `rslave`',
    why: 'nothing of ours is mounted below the data root in the host’s namespace',
  },
  {
    kind: /^container remove$/,
    at: /^\.message$/,
    theirs: /^you cannot remove a (running|paused) container/,
    what: 'the newest wording of "container is running"',
    why: 'as of Docker 25',
  },
  {
    kind: /^(container (create|list|update|start)|network (create|connect))$/,
    at: /^status$/,
    theirs: /^4\d\d/,
    ours: /^4\d\d/,
    what: 'of two mistakes in a request another one is told',
    why: 'what can be checked without looking anything up is checked first; each is 4xx on both sides',
  },
  {
    kind: /^(container (create|list|update)|network (create|connect))$/,
    at: /^\.message$/,
    what: 'the newest wording, or of two mistakes another one',
    why: 'the status is the same; restart policies, mount types and IPAM drivers are told in the words of Docker 25',
  },
  {
    kind: /^container create$/,
    at: /^status$/,
    theirs: /runtime/,
    what: 'a runtime that there is not is told by the start',
    why: 'which there are is known to the core, and may change until then',
  },
  {
    kind: /^network create$/,
    at: /^status$/,
    theirs: /^500/,
    ours: /^4/,
    what: 'a bad name, and a network that only a swarm has, are 4xx',
    why: '20.10 says 500 for want of a better type',
  },
  {
    kind: /^container (restart|start)$/,
    at: /^(status|\.message)$/,
    theirs: /network/,
    what: 'a container whose network is gone may start on its others',
    why: 'a network that was removed is forgotten by those that were to join it',
  },
  {
    kind: /^container update$/,
    at: /^status$/,
    theirs: /^200/,
    ours: /^400 invalid json/,
    what: 'an update without an object is refused',
    why: 'there is nothing to do',
  },
  {
    kind: /^container list$/,
    at: /\.Image$/,
    theirs: /^sha256/,
    what: 'the list shows an image by the name that the container was made with',
    why: 'Docker shows the id once the name has moved to another image: `ImageID` is there for both',
  },
  {
    kind: /^container (re)?start$/,
    at: /^(status|\.message)$/,
    ours: /\/dev\/mqueue/,
    what: '`--ipc host` needs `/dev/mqueue` on the host',
    why: 'it is the host’s that the container gets; Docker goes without it',
  },
]

export function reasonOf(difference: Difference): KnownDifference | undefined {
  const fits = (pattern: RegExp | undefined, value: unknown) => pattern === undefined || pattern.test(String(value))
  return knownDifferences.find(
    ({ kind, at, theirs, ours }) =>
      kind.test(difference.kind) &&
      at.test(difference.at) &&
      fits(theirs, difference.theirs) &&
      fits(ours, difference.ours),
  )
}

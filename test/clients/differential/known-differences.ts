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
  /** The newest engines answer as we do (read in moby's sources): it is no difference to them. */
  isNewest?: true
}

export const knownDifferences: readonly KnownDifference[] = [
  {
    kind: /^container wait$/,
    at: /^status$/,
    ours: /^400 invalid condition/,
    what: '`wait` refuses a condition that there is not',
    why: 'newer engines do; older ones took it for `not-running`',
    isNewest: true,
  },
  {
    kind: /^container update$/,
    at: /^status$/,
    theirs: /^404/,
    ours: /^400/,
    what: 'limits are checked before the container is looked for',
    why: 'newer engines do it in this order too; both are mistakes',
    isNewest: true,
  },
  {
    kind: /^container create$/,
    at: /^status$/,
    theirs: /^201/,
    ours: /^400 (ipc|pid|uts)_mode/,
    what: 'modes of namespaces that there are not are refused when the container is created',
    why: 'newer engines do; 20.10 tells of them at the first start',
    isNewest: true,
  },
  {
    kind: /^container create$/,
    at: /^status$/,
    theirs: /^201/,
    ours: /^400 (mount target|unknown ulimit|invalid)/,
    what: 'a container that could never start is refused when it is created',
    why: 'Docker creates it: an unknown ulimit, or a volume over `/`, is told by the first start',
  },
  {
    kind: /^image (tag|remove)$|^commit$/,
    at: /^(status|\.message)$/,
    ours: /(reference format|invalid tag format|repository name must|no such image)/,
    what: 'a new name is read before the image is looked for',
    why: 'newer engines do it in this order too; with two mistakes in a request the other one is told',
    isNewest: true,
  },
  {
    kind: /^container (list|inspect)$/,
    at: /Ports$/,
    what: 'a port with a binding is published, whether it is exposed or not',
    why: 'newer engines do; 20.10 passes over bindings of ports that are not exposed',
    isNewest: true,
  },
  {
    kind: /^container (list|inspect)$/,
    at: /Networks\.\w+(\.(EndpointID|Gateway|IPAddress|IPPrefixLen|MacAddress|NetworkID|Aliases))?$/,
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
    kind: /^container remove$/,
    at: /^\.message$/,
    theirs: /^you cannot remove a (running|paused) container/,
    what: 'the newest wording of "container is running"',
    why: 'as of Docker 25',
    isNewest: true,
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
    theirs: /^500 this node is not a swarm manager/,
    ours: /^403/,
    what: 'a network that only a swarm has is forbidden',
    why: 'as newer engines say; 20.10 says 500 for want of a better type',
    isNewest: true,
  },
  {
    kind: /^network create$/,
    at: /^status$/,
    theirs: /^500/,
    ours: /^4/,
    what: 'a bad name is 4xx',
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
    kind: /^container (re)?start$|^container inspect$/,
    at: /^(status|\.message|\.State\.(Error|ExitCode))$/,
    theirs: /unable to apply caps|^128$/,
    what: 'a privileged container gets the capabilities that the engine itself has',
    why: 'runc refuses to start it where the host lacks one, as in some sandboxes of CI',
  },
  {
    kind: /^container start$/,
    at: /^status$/,
    theirs: /sysctl "kernel\.domainname"/,
    what: 'a domain name beside `--uts host` is left out',
    why: 'runc refuses to set it, and the container does not start',
  },
  {
    kind: /^volume (list|prune)$/,
    at: /^\.Volumes/,
    what: 'anonymous volumes of a container with `--rm` go with it, however it is removed',
    why: 'Docker leaves them when it is removed, or pruned, before it ever ran',
  },
  {
    kind: /^container list$/,
    at: /\.Image$/,
    theirs: /^sha256/,
    what: 'the list shows an image by the name that the container was made with',
    why: 'Docker shows the id once the name has moved to another image: `ImageID` is there for both',
  },
  {
    kind: /^container stats$/,
    at: /^\.memory_stats/,
    what: 'what a cgroup counts is shown, zero or not',
    why: 'dockerd leaves zeros out',
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

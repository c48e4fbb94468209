/**
 * What the newest engines answer where 20.10 answered otherwise: dockerd's answers are read as if it were one of them. Each
 * entry was looked up in moby's sources; docs/docker-differential.md is made from this table.
 */
export interface Rewording {
  /** For the docs: what changed. */
  what: string
  /** On the message of an error. */
  pattern: RegExp
  to: string
  /** Where the status changed too. */
  status?: { from: number; to: number }
}

const badRequest = { from: 500, to: 400 } as const

export const rewordings: readonly Rewording[] = [
  {
    what: 'filters that are not JSON are "invalid filter", 400',
    pattern:
      /^(unexpected end of JSON input|json: cannot unmarshal .* Go value of type map\[string\]map\[string\]bool)$/,
    to: 'invalid filter',
    status: badRequest,
  },
  {
    what: 'bad times are told in words',
    pattern: /^strconv\.ParseInt: parsing ("[^"]*"): invalid syntax$/,
    to: 'failed to parse value as time: $1',
    status: badRequest,
  },
  {
    what: 'bad parameters are 400, no longer 500',
    pattern:
      /^(strconv\.\w+: parsing "[^"]*": invalid syntax|invalid tag format|invalid reference format.*|invalid filter: .*|extraction point is not a directory|invalid --security-opt.*|invalid volume specification: .*)$/,
    to: '$1',
    status: badRequest,
  },
  {
    what: 'a container that before and since name is missing as everywhere else: 404',
    pattern: /^no such container (.*)$/,
    to: 'No such container: $1',
    status: { from: 500, to: 404 },
  },
  {
    what: 'a signal that there is not is 400',
    pattern: /the Linux daemon does not support signal (\d+)$/i,
    to: 'the linux daemon does not support signal $1',
    status: badRequest,
  },
  {
    what: 'who keeps a network in use is told',
    pattern: /^(error while removing network: network \S+) id .* has active endpoints$/,
    to: '$1 has active endpoints',
  },
  {
    what: 'aliases on a default network are refused in other words',
    pattern: /network-scoped alias is supported only for containers in user defined networks/,
    to: 'network-scoped aliases are only supported for user-defined networks',
  },
  { what: 'a typing error', pattern: /pathcannot/, to: 'path cannot' },
  { what: 'the range of versions is told', pattern: /(Maximum supported API version is ).*$/, to: '$1…' },
  {
    what: 'a body that is not JSON, or has a value of a wrong type, is always 400, and begins with "invalid JSON"',
    pattern: /^(json: cannot unmarshal .*|unexpected EOF|got EOF while reading request body|invalid character .*|EOF)$/,
    to: 'invalid JSON',
    status: badRequest,
  },
  {
    what: 'the name that must be lowercase is told',
    pattern: /(repository name) must be lowercase/,
    to: '$1 (…) must be lowercase',
  },
  {
    what: '"no such image" is told once',
    pattern: /^no such image: \S+: (No such image: \S+|invalid reference .*)$/,
    to: '$1',
  },
  {
    what: 'the media type that was sent is told',
    pattern: /^Content-Type specified \(([^)]*)\) must be/,
    to: 'unsupported Content-Type header ($1): must be',
  },
  {
    what: 'why a command could not be run is told without the layers below',
    pattern:
      /failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: (.*?)(: unknown)?$/,
    to: 'failed to create task for container: OCI runtime create failed: $1',
  },
]

/** Ours, where the wording is of no use to a comparison. */
export const ourRewordings: readonly Rewording[] = [
  { what: '', pattern: /^invalid JSON: .*$/, to: 'invalid JSON' },
  { what: '', pattern: /(has active endpoints) \(.*\)$/, to: '$1' },
  { what: '', pattern: /(Maximum supported API version is ).*$/, to: '$1…' },
  { what: '', pattern: /^(failed to parse value as time) or duration/, to: '$1' },
  { what: '', pattern: /^invalid resize (height|width) ("[^"]*")/, to: 'strconv.Atoi: parsing $2' },
  { what: '', pattern: /^invalid filter 'exited=.*': (strconv.*)$/, to: '$1' },
  { what: '', pattern: /(repository name) \([^)]*\) must be lowercase/, to: '$1 (…) must be lowercase' },
]

export interface Told {
  status: number
  message: string
}

export function reworded(told: Told, table: readonly Rewording[]): Told {
  let { status, message } = told
  for (const { pattern, to, status: change } of table) {
    if (!pattern.test(message)) continue
    message = message.replace(pattern, to)
    if (change !== undefined && status === change.from) status = change.to
  }
  // What begins with a capital letter differs from release to release.
  return { status, message: message.toLowerCase() }
}

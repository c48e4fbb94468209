/**
 * Image references: distribution's grammar (`reference/reference.go` of distribution/reference, in words: `[domain/]path[:tag]
 * [@digest]`) and Docker's rule for short names. A small parser of our own: the libraries on npm for this are
 * unkept or know only the lax form.
 */
import { invalidArgument } from '../errors/errors.ts'
import { type Digest, isDigest } from './digest.ts'

/** An image in a registry. At least one of `tag` and `digest` is there after {@link parseReference}. */
export interface Reference {
  /** As people write it: `docker.io`, `registry.example:5000`. */
  readonly domain: string
  /** `library/busybox`. */
  readonly repository: string
  readonly tag?: string
  readonly digest?: Digest
}

const label = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])'
const domainPattern = new RegExp(`^(?:${label}(?:\\.${label})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]{1,5})?$`)
const pathPattern = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/
const tagPattern = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/
const maxNameLength = 255
/** A name, a tag and a digest, with room to spare; bounds the patterns' work. */
const maxTextLength = 512
const defaultDomain = 'docker.io'

/**
 * Reads a reference as the docker command does: `busybox` is `docker.io/library/busybox:latest`. A first component is
 * a domain when it has a dot, a colon or a capital letter, or is `localhost`. INVALID_ARGUMENT names the text and the
 * part that is wrong.
 */
export function parseReference(text: string): Reference {
  const wrong = (why: string) => invalidArgument(`invalid reference "${text.slice(0, maxTextLength)}": ${why}`)
  if (text.length > maxTextLength) throw wrong(`it is longer than ${maxTextLength} characters`)
  const { name, tag, digest } = cut(text)
  if (name === '') throw wrong('it has no repository name')
  const { domain, path } = splitDomain(name)
  if (!domainPattern.test(domain)) throw wrong(`"${domain}" is not a host[:port]`)
  if (!pathPattern.test(path)) {
    const hint = pathPattern.test(path.toLowerCase()) ? 'must be lower case' : 'is not a repository name'
    throw wrong(`"${path}" ${hint}`)
  }
  if (domain.length + 1 + path.length > maxNameLength)
    throw wrong(`the name is longer than ${maxNameLength} characters`)
  if (tag !== undefined && !tagPattern.test(tag)) throw wrong(`"${tag}" is not a tag`)
  if (digest !== undefined && !isDigest(digest)) throw wrong(`"${digest}" is not a sha256 digest`)
  const repository = domain === defaultDomain && !path.includes('/') ? `library/${path}` : path
  if (tag === undefined && digest === undefined) return { domain, repository, tag: 'latest' }
  return { domain, repository, ...(tag !== undefined && { tag }), ...(digest !== undefined && { digest }) }
}

/** In full: `docker.io/library/busybox:latest`. */
export function formatReference({ domain, repository, tag, digest }: Reference): string {
  return `${domain}/${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`
}

/** As docker shows it: `busybox:latest`. */
export function familiarName(reference: Reference): string {
  const full = formatReference(reference)
  if (reference.domain !== defaultDomain) return full
  const short = full.slice(`${defaultDomain}/`.length)
  const rest = short.slice('library/'.length)
  return short.startsWith('library/') && !rest.includes('/') ? rest : short
}

function cut(text: string): { name: string; tag: string | undefined; digest: string | undefined } {
  const at = text.indexOf('@')
  const digest = at < 0 ? undefined : text.slice(at + 1)
  const named = at < 0 ? text : text.slice(0, at)
  const colon = named.lastIndexOf(':')
  // A colon before the last slash is a port's.
  if (colon < 0 || colon < named.lastIndexOf('/')) return { name: named, tag: undefined, digest }
  return { name: named.slice(0, colon), tag: named.slice(colon + 1), digest }
}

function splitDomain(name: string): { domain: string; path: string } {
  const slash = name.indexOf('/')
  const first = name.slice(0, slash)
  const isDomain = slash >= 0 && (/[.:A-Z]/.test(first) || first === 'localhost')
  if (!isDomain) return { domain: defaultDomain, path: name }
  const domain = first === 'index.docker.io' ? defaultDomain : first
  return { domain, path: name.slice(slash + 1) }
}

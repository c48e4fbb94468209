/** Names of images: as clients write them, as the core records them, as Docker shows them. */
import { messageOf } from '#api/errors/errors.ts'
import { isDigest } from '#api/types/digest.ts'
import { familiarName, formatReference, parseReference, type Reference } from '#api/types/reference.ts'
import { badRequest } from '../http/http-error.ts'

/** An image without a name still needs a record that keeps it. dockerd's containerd store names it the same way. */
const danglingPrefix = 'moby-dangling@'

/** Reads a name as the docker command does; `busybox` gets the tag `latest`. 400 in Docker's words. */
export function parseName(text: string): Reference {
  if (isDigest(`sha256:${text}`))
    throw badRequest(
      `invalid repository name (${text}), cannot specify 64-byte hexadecimal strings: it could be mistaken for an image ID`,
    )
  try {
    return parseReference(text)
  } catch (cause) {
    throw badRequest(refusal(text, messageOf(cause)), { cause })
  }
}

function refusal(text: string, why: string): string {
  const upper = /"([^"]*)" must be lower case/.exec(why)?.[1]
  return upper === undefined
    ? `invalid reference format: ${JSON.stringify(text)}`
    : `invalid reference format: repository name (${upper.includes('/') ? upper : `library/${upper}`}) must be lowercase`
}

/** A repository with a tag of its own parameter, which may be a digest (`/images/create?fromImage=x&tag=y`). */
export function parseNameAndTag(name: string, tag: string): Reference {
  const { domain, repository, ...rest } = parseName(name)
  if (tag === '') return { domain, repository, ...rest }
  if (isDigest(tag)) return { domain, repository, digest: tag }
  if (!/^\w[\w.-]{0,127}$/.test(tag)) throw badRequest('invalid tag format')
  return { domain, repository, tag }
}

/** The name of the record. A digest makes a tag beside it meaningless. */
export function recordName({ domain, repository, tag, digest }: Reference): string {
  return formatReference(
    digest === undefined ? { domain, repository, ...(tag && { tag }) } : { domain, repository, digest },
  )
}

export function danglingName(digest: string): string {
  return `${danglingPrefix}${digest}`
}

/** What a record's name is to Docker: undefined for one that only keeps an image. */
export function readRecordName(name: string): Reference | undefined {
  if (name.startsWith(danglingPrefix)) return undefined
  try {
    return parseReference(name)
  } catch {
    return undefined
  }
}

/** `busybox:latest`, `busybox@sha256:…`. */
export function shown(reference: Reference): string {
  return familiarName(reference)
}

/** `busybox`, without tag and digest. */
export function shownRepository({ domain, repository }: Reference): string {
  return familiarName({ domain, repository })
}

/** The first twelve digits, as people know an image. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, 12)
}

/** For images that may go without a name. */
export function formatReferenceOrNone(reference: Reference | undefined): string | undefined {
  return reference && recordName(reference)
}

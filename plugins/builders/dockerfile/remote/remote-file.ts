/** A file of the web, as a source tree with that one file. */
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { posix } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fetch } from 'undici'
import { dataLoss, invalidArgument, messageOf, notFound, resourceExhausted, unavailable } from '#api/errors/errors.ts'
import type { Entry, SourceTree } from '../files/source-tree.ts'
import { madeDirectory } from '../steps/copy-entries.ts'

const maxBytes = 64 * 1024 ** 3

export interface RemoteFile {
  /** Its one file is at `/<name>`. */
  readonly tree: SourceTree
  readonly name: string
}

export interface RemoteOptions {
  /** Where its bytes go; the caller's to remove. */
  readonly file: string
  /** `sha256:…` that the bytes must have. */
  readonly checksum: string | undefined
  /** The destination names a directory, so the address must name the file. */
  readonly needsName?: boolean
  /** In place of the address's last name. */
  readonly name?: string
  readonly signal: AbortSignal
  /** `HTTP_AUTH_HEADER_<host>` and `HTTP_AUTH_TOKEN_<host>` say who we are to that host, as with BuildKit. */
  readonly secrets: Readonly<Record<string, Uint8Array>>
}

/** NOT_FOUND: 404 or 410; DATA_LOSS: another checksum; UNAVAILABLE: no answer, or another status. */
export async function remoteFile(url: string, options: RemoteOptions): Promise<RemoteFile> {
  const name = options.name ?? posix.basename(new URL(url).pathname)
  if (name === '' && options.needsName) throw invalidArgument(`cannot determine filename for source "${url}"`)
  const response = await ask(url, options)
  const hash = createHash('sha256')
  let size = 0
  const count = async function* (chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) {
      size += chunk.length
      if (size > maxBytes) throw resourceExhausted(`"${url}" has more than ${maxBytes} bytes`)
      hash.update(chunk)
      yield chunk
    }
  }
  const body = response.body === null ? Readable.from([]) : Readable.fromWeb(response.body)
  await pipeline(body, count, createWriteStream(options.file, { mode: 0o600 }))
  const digest = hash.digest('hex')
  if (options.checksum !== undefined && options.checksum !== `sha256:${digest}`)
    throw dataLoss(`"${url}" has the digest sha256:${digest}, not ${options.checksum}`)
  const modified = Date.parse(response.headers.get('last-modified') ?? '')
  const mtime = new Date(Number.isNaN(modified) ? 0 : modified)
  return { name: name || 'file', tree: oneFile(name || 'file', { size, mtime, digest, file: options.file }) }
}

async function ask(url: string, { signal, secrets }: RemoteOptions) {
  // A redirection to another host goes without it (Fetch standard, HTTP-redirect fetch).
  const authorization = authorizationFor(new URL(url).hostname, secrets)
  const headers = authorization === undefined ? {} : { authorization }
  const response = await fetch(url, { signal, headers, redirect: 'follow' }).catch(cause => {
    throw unavailable(`fetching "${url}": ${messageOf(cause)}`, { cause })
  })
  if (response.ok) return response
  const text = `fetching "${url}": ${response.status} ${response.statusText}`
  throw response.status === 404 || response.status === 410 ? notFound(text) : unavailable(text)
}

/** INVALID_ARGUMENT for a secret that would be two headers. */
function authorizationFor(host: string, secrets: RemoteOptions['secrets']): string | undefined {
  const secret = (id: string) =>
    Object.hasOwn(secrets, id)
      ? Buffer.from(secrets[id] ?? [])
          .toString()
          .trim()
      : undefined
  const token = secret(`HTTP_AUTH_TOKEN_${host}`)
  const value = secret(`HTTP_AUTH_HEADER_${host}`) ?? (token && `Bearer ${token}`)
  if (value !== undefined && /[\r\n]/.test(value))
    throw invalidArgument(`secret HTTP_AUTH_HEADER_${host} holds more than one line`)
  return value
}

function oneFile(name: string, it: { size: number; mtime: Date; digest: string; file: string }): SourceTree {
  // Docker gives what came from the web to its owner alone.
  const entry: Entry = { ...madeDirectory(`/${name}`), type: 'file', mode: 0o600, size: it.size, mtime: it.mtime }
  return {
    at: async path => (path === '/' ? madeDirectory('/') : path === entry.path ? entry : undefined),
    children: async path => (path === '/' ? [entry] : []),
    read: () => createReadStream(it.file),
    digest: async () => it.digest,
  }
}

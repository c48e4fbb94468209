/**
 * Remotes: images in registries, over the OCI distribution specification.
 *
 * A *remote* is one reference opened for use. It knows the hosts that may serve it (containerd's `hosts.toml`
 * directories: mirrors in order, the registry itself last), how to authenticate, when to try again and what to
 * believe. It does not know the content store: blobs come as streams from an offset, and the caller verifies and
 * keeps them.
 *
 * ```ts
 * await using remote = await remotes.open('registry.example:5000/team/app:1.0', { credentials })
 * const target = await remote.resolve(signal)              // digest, size and media type
 * const manifest = await remote.manifest(target, signal)   // bytes, digest verified
 * const blob = await remote.blob(layer, 0, signal)         // { offset, body }
 * ```
 *
 * ## What is tried again
 * A connection that fails or breaks before an answer, and the statuses 408, 429, 500, 502, 503, 504, with growing
 * pauses (`Retry-After` is honoured within limits); after that the next host. A body that breaks off half-way is the
 * caller's to resume with another `blob` call. 401 is answered with credentials once, and once more with a new token.
 *
 * ## Errors
 * NOT_FOUND (404), UNAUTHENTICATED (401), PERMISSION_DENIED (403), RESOURCE_EXHAUSTED (429, or an answer too long),
 * UNAVAILABLE (5xx, no connection), FAILED_PRECONDITION (bytes that do not have the digest asked for),
 * INVALID_ARGUMENT (a reference or host configuration that is wrong). Messages name the reference, the host and
 * what the registry said; never credentials.
 */
import type { Readable } from 'node:stream'
import type { Digest } from '#api/types/digest.ts'
import type { OciDescriptor } from '#api/types/oci.ts'
import type { Reference } from '#api/types/reference.ts'

export { familiarName, formatReference, parseReference, type Reference } from '#api/types/reference.ts'
export { createRemotes } from './registry-remotes.ts'

/** Who we are, to one host. */
export type Credentials =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** An OAuth 2 refresh ("identity") token, exchanged at the registry's token server. */
  | { readonly kind: 'refresh'; readonly token: string }
  /** A complete `Authorization` header. */
  | { readonly kind: 'header'; readonly value: string }

/** Asked once per host that wants credentials, with its `WWW-Authenticate` headers. Undefined: go on without. */
export type CredentialSource = (host: string, challenges: readonly string[]) => Promise<Credentials | undefined>

export interface RemoteOptions {
  credentials?: CredentialSource | undefined
  /** Folder with `<host>/hosts.toml`; instead of the configured one. */
  hostDir?: string | undefined
  /** For hosts that no hosts.toml describes; default: https, and for loopback whichever answers. */
  defaultScheme?: 'http' | 'https' | undefined
  /** Added to every request to the registry (not to other hosts it redirects to). */
  headers?: Readonly<Record<string, string>> | undefined
}

export interface RemotesConfig {
  /** Folder with `<host>/hosts.toml`, `_default/hosts.toml`; undefined: none. */
  hostDir?: string | undefined
  /** Connections per host; more requests wait. Default 8. */
  connectionsPerHost?: number
  /** Until a connection stands, TLS included. Default 30 000. */
  connectTimeoutMs?: number
  /** Until the headers of an answer are here. Default 60 000. */
  headersTimeoutMs?: number
  /** Between two pieces of a body. Default 60 000. */
  idleTimeoutMs?: number
  /** Tries per request and host; default 5. */
  attempts?: number
  /** First pause between tries, doubled each time up to `maxDelayMs`; default 200. */
  baseDelayMs?: number
  /** Longest pause, `Retry-After` included; default 10 000. */
  maxDelayMs?: number
  /** Bytes per PATCH of a chunked upload; 0 (the default) uploads a blob in one PUT. */
  uploadChunkBytes?: number
}

export interface Remotes extends AsyncDisposable {
  /** INVALID_ARGUMENT for the reference or a host configuration. Makes no connection. */
  open(reference: string, options?: RemoteOptions): Promise<Remote>
}

/** The bytes of a blob from `offset` on; 0 when the server ignored the wish. Destroy `body` or read it to its end. */
export interface BlobBody {
  readonly offset: number
  readonly body: Readable
}

/** A blob to upload. */
export interface BlobSource {
  /** Bytes from `offset` to the end; called again for another attempt. */
  open(offset: number): Readable
  /** Repositories of the same registry that are said to have the blob: mounted from there if it allows. */
  readonly mountFrom?: readonly string[]
  /** Bytes taken by the server so far. */
  readonly onProgress?: (bytes: number) => void
}

/** One reference, opened. */
export interface Remote {
  readonly reference: Reference

  /** What the tag or digest points at. NOT_FOUND. */
  resolve(signal?: AbortSignal): Promise<OciDescriptor>

  /** A manifest or index of this repository; size and digest verified. */
  manifest(descriptor: OciDescriptor, signal?: AbortSignal): Promise<Buffer>

  /** A blob of this repository from `offset`. The bytes are not verified. */
  blob(descriptor: OciDescriptor, offset: number, signal?: AbortSignal): Promise<BlobBody>

  /** Uploads a blob unless it is there. */
  pushBlob(
    descriptor: OciDescriptor,
    source: BlobSource,
    signal?: AbortSignal,
  ): Promise<'exists' | 'mounted' | 'uploaded'>

  /** Uploads a manifest under its digest, or under `tag`. What it refers to must be there. */
  pushManifest(
    descriptor: OciDescriptor,
    bytes: Buffer,
    options?: { tag?: string | undefined; signal?: AbortSignal | undefined },
  ): Promise<'exists' | 'uploaded'>

  /** Digest of `tag` in the repository, or undefined. */
  digestOf(tagOrDigest: string, signal?: AbortSignal): Promise<Digest | undefined>
}

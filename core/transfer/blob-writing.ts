/** Bytes into the content store: opening ingests that may be busy, and verified commits. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type GantryError, isGantryError, messageOf, resourceExhausted, unavailable } from '#api/errors/errors.ts'
import { isFullDisk } from '#api/errors/full-disk.ts'
import type { OciDescriptor } from '#api/types/oci.ts'
import type { ContentStore, IngestWriter, WriterOptions } from '#core/content/content.ts'

/** How long to wait for somebody else's write of the same ref. */
const busyTimeoutMs = 60_000

/** Opens an ingest; undefined when the namespace has the blob. Waits a while for another writer of the ref. */
export async function openWriter(
  content: ContentStore,
  ns: string,
  options: WriterOptions,
  signal: AbortSignal,
): Promise<IngestWriter | undefined> {
  const deadline = performance.now() + busyTimeoutMs
  for (let delayMs = 10; ; delayMs = Math.min(delayMs * 2, 1000)) {
    signal.throwIfAborted()
    try {
      return await content.writer(ns, options)
    } catch (error) {
      if (isGantryError(error, 'ALREADY_EXISTS')) return undefined
      if (!isGantryError(error, 'UNAVAILABLE') || performance.now() > deadline) throw error
    }
    await sleep(delayMs)
  }
}

/**
 * Commits; ALREADY_EXISTS is fine. Bytes that turn out wrong are dropped, so that the next attempt does not resume
 * from them.
 */
export async function commitVerified(
  content: ContentStore,
  ns: string,
  writer: IngestWriter,
  descriptor: OciDescriptor,
  what: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<void> {
  try {
    await writer.commit({ sizeBytes: descriptor.size, expected: descriptor.digest, labels })
  } catch (error) {
    if (isGantryError(error, 'ALREADY_EXISTS')) return
    await dropIngest(content, ns, writer)
    throw named(what, error)
  }
}

/** Closes and forgets an ingest. */
export async function dropIngest(content: ContentStore, ns: string, writer: IngestWriter): Promise<void> {
  await writer.close()
  await content.abort(ns, writer.ref).catch(() => undefined)
}

/** True for a full disk or quota, however it is dressed. */
export function isDiskFull(error: unknown): boolean {
  return isFullDisk(error) || isGantryError(error, 'RESOURCE_EXHAUSTED')
}

/** Says which object a failure of the content store is about. */
export function named(what: string, error: unknown): unknown {
  if (isGantryError(error)) return Object.assign(renamed(what, error), { cause: error })
  return isDiskFull(error) ? resourceExhausted(`${what}: ${messageOf(error)}`, { cause: error }) : error
}

function renamed(what: string, error: GantryError): GantryError {
  const Class = error.constructor as typeof GantryError
  return new Class(error.code, `${what}: ${error.message}`)
}

/** The pieces of a network body; that it broke is UNAVAILABLE, apart from failures of whoever consumes it. */
export async function* networkPieces(body: AsyncIterable<Buffer>, what: string): AsyncGenerator<Buffer> {
  try {
    yield* body
  } catch (cause) {
    throw unavailable(`${what}: the connection broke: ${messageOf(cause)}`, { cause })
  }
}

/** One blob from a registry into the content store, resumed as often as it takes. */
import { setTimeout as sleep } from 'node:timers/promises'
import { failedPrecondition, isGantryError } from '#api/errors/errors.ts'
import type { OciDescriptor } from '#api/types/oci.ts'
import type { ContentStore, IngestWriter } from '#core/content/content.ts'
import type { Remote } from '#core/remotes/remotes.ts'
import { commitVerified, dropIngest, isDiskFull, named, networkPieces, openWriter } from './blob-writing.ts'
import { refKey } from './object-names.ts'

export interface Download {
  content: ContentStore
  ns: string
  lease: string
  remote: Remote
  descriptor: OciDescriptor
  /** Starts error messages. */
  what: string
  labels: Readonly<Record<string, string>>
  onBytes: (bytes: number) => void
}

/** Breaks in a row, without worthwhile progress between them, after which we give up. */
const maxBreaks = 5
const worthwhileBytes = 256 * 1024
const firstPauseMs = 100

/** Downloads unless the blob is there. What came before a failure stays in the ingest for the next call. */
export async function downloadBlob(download: Download, signal: AbortSignal): Promise<void> {
  const { content, ns, lease, descriptor, what, labels } = download
  const options = { ref: refKey(descriptor), expected: descriptor.digest, totalBytes: descriptor.size, lease }
  await using writer = await openWriter(content, ns, { ...options, mediaType: descriptor.mediaType }, signal)
  if (writer === undefined) return
  try {
    if (writer.offset > descriptor.size) await writer.truncate(0)
    await fill(download, writer, signal)
  } catch (error) {
    // A full disk is not helped by keeping what filled it.
    if (isDiskFull(error)) await dropIngest(content, ns, writer)
    throw named(what, error)
  }
  await commitVerified(content, ns, writer, descriptor, what, labels)
}

async function fill(download: Download, writer: IngestWriter, signal: AbortSignal): Promise<void> {
  let breaks = 0
  while (writer.offset < download.descriptor.size) {
    const before = writer.offset
    try {
      await pour(download, writer, signal)
    } catch (error) {
      signal.throwIfAborted()
      if (!isGantryError(error, 'UNAVAILABLE')) throw error
      breaks = writer.offset - before >= worthwhileBytes ? 1 : breaks + 1
      if (breaks >= maxBreaks) throw error
      await sleep(firstPauseMs * 2 ** (breaks - 1))
    }
  }
}

/** From one answer of the registry to its end. A server that starts over gets its beginning skipped. */
async function pour({ remote, descriptor, what, onBytes }: Download, writer: IngestWriter, signal: AbortSignal) {
  const { offset, body } = await remote.blob(descriptor, writer.offset, signal)
  let position = offset
  for await (const piece of networkPieces(body, what)) {
    const skipped = Math.min(piece.length, Math.max(0, writer.offset - position))
    position += piece.length
    if (position > descriptor.size)
      throw failedPrecondition(`${what}: the registry sends more than the ${descriptor.size} bytes announced`)
    if (skipped < piece.length) await writer.write(skipped === 0 ? piece : piece.subarray(skipped))
    onBytes(writer.offset)
  }
  if (position < descriptor.size)
    throw failedPrecondition(`${what}: the registry ended after ${position} of ${descriptor.size} bytes`)
}

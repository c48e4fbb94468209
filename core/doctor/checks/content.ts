import { type Digest, parseDigest } from '#api/types/digest.ts'
import type { LocalContentStore } from '#core/content/content.ts'
import { type BlobRecord, type IngestRecord, type Metadata, objectKey } from '#core/metadata/metadata.ts'
import type { Check, Finding } from '../doctor.ts'
import { stored } from '../stored.ts'

interface Parts {
  readonly metadata: Metadata
  readonly content: LocalContentStore
  readonly collect: () => Promise<unknown>
}

/** Blob records and files, ingests and folders. */
export function contentCheck(parts: Parts): Check {
  return {
    name: 'content',
    async *run(round) {
      yield* recordFindings(parts, round.deep, round.count)
      yield* strayFindings(parts)
      yield* ingestFindings(parts)
    },
  }
}

async function* recordFindings(parts: Parts, deep: boolean, count: () => void): AsyncGenerator<Finding> {
  const read = new Map<string, string | undefined>()
  for await (const { ns, rest, value } of stored<BlobRecord>(parts.metadata, 'blobs')) {
    const digest = parseDigest(rest[0] ?? '')
    count()
    const problem =
      sizeProblem(parts.content, digest, value) ?? (deep ? await digestProblem(parts, digest, read) : undefined)
    if (problem !== undefined) yield falseBlob(parts, ns, digest, problem)
  }
}

function sizeProblem(content: LocalContentStore, digest: Digest, { sizeBytes }: BlobRecord): string | undefined {
  const found = content.sizeOf(digest)
  if (found === undefined) return 'has no file'
  return found === sizeBytes ? undefined : `is recorded with ${sizeBytes} bytes, its file has ${found}`
}

/** Several namespaces have the same file: it is read once. */
async function digestProblem(
  { content }: Parts,
  digest: Digest,
  read: Map<string, string | undefined>,
): Promise<string | undefined> {
  if (!read.has(digest)) {
    const found = await content.digestOf(digest)
    read.set(digest, found === digest ? undefined : `has a file with the digest ${found}`)
  }
  return read.get(digest)
}

/** Its bytes are gone or false already; with the record gone too, a pull fetches them again. */
function falseBlob({ metadata, content, collect }: Parts, ns: string, digest: Digest, problem: string): Finding {
  return {
    severity: 'damage',
    object: `blob ${ns}/${digest}`,
    problem,
    advice: 'repair drops the record (and the file nobody can use); then pull or import its image again',
    async repair() {
      metadata.write(tx => tx.delete(objectKey(ns, 'blobs', digest)), { frees: true })
      content.markDirty()
      await collect()
    },
  }
}

async function* strayFindings({ content, collect }: Parts): AsyncGenerator<Finding> {
  const due = content.isSweepDue
  const repair = async () => {
    content.markDirty()
    await collect()
  }
  const finding = (object: string): Finding => ({
    severity: due ? 'note' : 'damage',
    object,
    problem: due ? 'has no record; the next sweep takes it' : 'has no record',
    advice: 'repair sweeps now (so does gctr gc run after a restart)',
    repair,
  })
  for (const { name } of await content.strayBlobs()) yield finding(`blob file ${name}`)
  for (const { name } of await content.strayIngests()) yield finding(`ingest folder ${name}`)
}

/** Written under its ref's next writer, or collected when it expires: nothing is lost by dropping it. */
async function* ingestFindings({ metadata, content }: Parts): AsyncGenerator<Finding> {
  for await (const { ns, rest, value } of stored<IngestRecord>(metadata, 'ingests')) {
    const [ref = ''] = rest
    if (value.shared !== undefined || content.hasIngestData(value.internalRef)) continue
    yield {
      severity: 'note',
      object: `ingest ${ns}/${ref}`,
      problem: 'has no data; its writer was cut off at once',
      advice: 'repair drops it; writing under the same ref works either way',
      repair: () => content.abort(ns, ref),
    }
  }
}

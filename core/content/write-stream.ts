/** Content/Write: one ingest's writer driven by a stream of requests. */
import { alreadyExists, invalidArgument, outOfRange } from '#api/errors/errors.ts'
import { WriteAction, type WriteContentRequest } from '#api/gen/containerd/services/content/v1/content.ts'
import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'
import type { CallContext } from '#api/rpc/server.ts'
import { type Digest, parseDigest } from '#api/types/digest.ts'
import type { ContentStore, IngestWriter } from './content.ts'

/** What the client has announced so far; the latest word counts. */
interface Announced {
  totalBytes: number
  expected: Digest | undefined
}

interface WriteAnswer {
  action: WriteAction
  startedAt?: Timestamp
  updatedAt?: Timestamp
  offset: bigint
  total?: bigint
  digest: string
}

/** Answers each request with the state reached; ends after COMMIT. Leaving early keeps the ingest. */
export async function* serveWrite(
  content: ContentStore,
  requests: AsyncIterable<WriteContentRequest>,
  { namespace, lease }: CallContext,
): AsyncGenerator<WriteAnswer> {
  let writer: IngestWriter | undefined
  const announced: Announced = { totalBytes: 0, expected: undefined }
  try {
    for await (const request of requests) {
      if (writer === undefined && request.ref === '')
        throw invalidArgument('first message must have a reference', { bare: true })
      const told = announce(announced, request)
      writer ??= await content.writer(namespace, { ref: request.ref, lease, ...announced })
      if (told) await refuseStored(content, namespace, writer, announced.expected)
      yield await step(writer, request, announced)
      if (request.action === WriteAction.COMMIT) return
    }
  } finally {
    await writer?.close()
  }
}

/** True when the request names an expected digest. */
function announce(announced: Announced, { total, expected }: WriteContentRequest): boolean {
  if (total > 0n) announced.totalBytes = Number(total)
  if (expected === '') return false
  announced.expected = parseDigest(expected)
  return true
}

/** Somebody else stored the expected blob meanwhile: this ingest is of no use. */
async function refuseStored(
  content: ContentStore,
  namespace: string,
  writer: IngestWriter,
  expected: Digest | undefined,
): Promise<void> {
  if (expected === undefined || !(await isStored(content, namespace, expected))) return
  await writer.close()
  await content.abort(namespace, writer.ref)
  throw alreadyExists(`blob with expected digest ${expected} exists`, { bare: true })
}

async function isStored(content: ContentStore, namespace: string, digest: Digest): Promise<boolean> {
  return await content.info(namespace, digest).then(
    () => true,
    () => false,
  )
}

async function step(writer: IngestWriter, request: WriteContentRequest, announced: Announced): Promise<WriteAnswer> {
  const { action } = request
  if (action === WriteAction.STAT) {
    const { startedAt, updatedAt, offset } = writer.status()
    const total = BigInt(announced.totalBytes)
    return { action, startedAt, updatedAt, offset: BigInt(offset), total, digest: writer.digest() }
  }
  await append(writer, request)
  if (action !== WriteAction.COMMIT) return { action, offset: BigInt(writer.offset), digest: writer.digest() }
  const { digest, sizeBytes } = await writer.commit({
    sizeBytes: announced.totalBytes,
    expected: announced.expected,
    labels: request.labels,
  })
  return { action, offset: BigInt(sizeBytes), digest }
}

async function append(writer: IngestWriter, { offset, data }: WriteContentRequest): Promise<void> {
  const at = Number(offset)
  if (at > 0 && at !== writer.offset)
    throw outOfRange(`write @${at} must occur at current offset ${writer.offset}`, { bare: true })
  if (at === 0 && writer.offset > 0) await writer.truncate(0)
  if (data.length > 0) await writer.write(data)
}

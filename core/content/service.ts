import { invalidArgument, outOfRange } from '#api/errors/errors.ts'
import type { ContentDefinition, Info, Status, UpdateRequest } from '#api/gen/containerd/services/content/v1/content.ts'
import type { ServiceImpl } from '#api/rpc/server.ts'
import { parseDigest } from '#api/types/digest.ts'
import type { BlobReader, ContentInfo, ContentStore, IngestStatus } from './content.ts'
import { serveWrite } from './write-stream.ts'

const listBlock = 100

/** containerd.services.content.v1.Content. */
export function contentService(content: ContentStore): ServiceImpl<typeof ContentDefinition> {
  return {
    async info({ digest }, { namespace }) {
      return { info: wireInfo(await content.info(namespace, parseDigest(digest))) }
    },
    async update({ info, updateMask }: UpdateRequest, { namespace }) {
      if (info === undefined) throw invalidArgument('info must be set')
      const change = { digest: parseDigest(info.digest), labels: info.labels }
      return { info: wireInfo(await content.update(namespace, change, updateMask)) }
    },
    async *list({ filters }, { namespace }) {
      let block: Info[] = []
      for await (const info of content.list(namespace, filters)) {
        block.push(wireInfo(info))
        if (block.length < listBlock) continue
        yield { info: block }
        block = []
      }
      if (block.length > 0) yield { info: block }
    },
    async delete({ digest }, { namespace, lease }) {
      await content.delete(namespace, parseDigest(digest), { lease })
      return {}
    },
    async *read({ digest, offset, size }, { namespace }) {
      await using reader = await content.reader(namespace, parseDigest(digest))
      const start = Math.max(0, Number(offset))
      if (start > reader.sizeBytes)
        throw outOfRange(`read past object length ${reader.sizeBytes} bytes`, { bare: true })
      let at = start
      const left = reader.sizeBytes - start
      const length = size > 0n ? Math.min(Number(size), left) : left
      for await (const data of chunksOf(reader, start, length)) {
        yield { offset: BigInt(at), data }
        at += data.length
      }
    },
    async status({ ref }, { namespace }) {
      return { status: wireStatus(await content.status(namespace, ref)) }
    },
    async listStatuses({ filters }, { namespace }) {
      return { statuses: (await content.listStatuses(namespace, filters)).map(wireStatus) }
    },
    write: (requests, context) => serveWrite(content, requests, context),
    async abort({ ref }, { namespace, lease }) {
      await content.abort(namespace, ref, { lease })
      return {}
    },
  }
}

function wireInfo({ digest, sizeBytes, createdAt, updatedAt, labels }: ContentInfo): Info {
  return { digest, size: BigInt(sizeBytes), createdAt, updatedAt, labels: { ...labels } }
}

function wireStatus({ ref, offset, totalBytes, expected, startedAt, updatedAt }: IngestStatus): Status {
  return { ref, offset: BigInt(offset), total: BigInt(totalBytes), expected: expected ?? '', startedAt, updatedAt }
}

/** A small blob without a stream around it: a container's start reads ten manifests and configurations. */
function chunksOf({ whole, stream }: BlobReader, start: number, length: number): AsyncIterable<Buffer> | Buffer[] {
  if (whole === undefined) return stream(start, length)
  const bytes = whole.subarray(start, start + length)
  return bytes.length > 0 ? [bytes] : []
}

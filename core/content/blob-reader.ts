import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { dataLoss } from '#api/errors/errors.ts'
import type { Digest } from '#api/types/digest.ts'
import type { BlobReader } from './content.ts'

/** Big enough that a large blob costs few turns of the event loop. */
const chunkBytes = 1 << 20

/** Opens a blob's file. DATA_LOSS when the record is there and the file is not, or has another size. */
export async function openBlob(path: string, digest: Digest, sizeBytes: number): Promise<BlobReader> {
  const file = await open(path).catch((cause: unknown) => {
    throw dataLoss(`content ${digest} is recorded but ${path} cannot be opened`, { cause })
  })
  const { size } = await file.stat()
  if (size !== sizeBytes) {
    await file.close()
    throw dataLoss(`content ${digest} is recorded with ${sizeBytes} bytes but ${path} has ${size}`)
  }
  return {
    sizeBytes,
    path,
    stream(offset = 0, length = sizeBytes - offset) {
      if (length <= 0) return Readable.from([])
      const end = Math.min(offset + length, sizeBytes) - 1
      return createReadStream(path, { fd: file, start: offset, end, autoClose: false, highWaterMark: chunkBytes })
    },
    [Symbol.asyncDispose]: () => file.close(),
  }
}

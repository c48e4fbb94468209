import { createReadStream, readFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { dataLoss } from '#api/errors/errors.ts'
import type { Digest } from '#api/types/digest.ts'
import type { BlobReader } from './content.ts'

/** Big enough that a large blob costs few turns of the event loop. */
const chunkBytes = 1 << 20

/** A manifest or a configuration: read at once, it costs less than the turns of the event loop that opening it takes. */
const smallBytes = 64 * 1024

/** Opens a blob's file. DATA_LOSS when the record is there and the file is not, or has another size. */
export async function openBlob(path: string, digest: Digest, sizeBytes: number): Promise<BlobReader> {
  if (sizeBytes <= smallBytes) return readSmall(path, digest, sizeBytes)
  const file = await open(path).catch(cause => {
    throw missing(path, digest, cause)
  })
  const { size } = await file.stat()
  if (size !== sizeBytes) {
    await file.close()
    throw wrongSize(path, digest, sizeBytes, size)
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

function readSmall(path: string, digest: Digest, sizeBytes: number): BlobReader {
  const bytes = readOrThrow(path, digest)
  if (bytes.length !== sizeBytes) throw wrongSize(path, digest, sizeBytes, bytes.length)
  return {
    sizeBytes,
    path,
    whole: bytes,
    stream: (offset = 0, length = sizeBytes) =>
      Readable.from(length <= 0 || offset >= sizeBytes ? [] : [bytes.subarray(offset, offset + length)]),
    [Symbol.asyncDispose]: async () => {},
  }
}

function readOrThrow(path: string, digest: Digest): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw missing(path, digest, cause)
  }
}

const missing = (path: string, digest: Digest, cause: unknown) =>
  dataLoss(`content ${digest} is recorded but ${path} cannot be opened`, { cause })

const wrongSize = (path: string, digest: Digest, recorded: number, found: number) =>
  dataLoss(`content ${digest} is recorded with ${recorded} bytes but ${path} has ${found}`)

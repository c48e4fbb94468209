/** Bodies of uploads: counted for progress, cut for chunks. */
import { Readable } from 'node:stream'

/** The same bytes; `onProgress` hears the sum after each piece, starting from `offset`. */
export function counted(body: Readable, offset: number, onProgress: ((bytes: number) => void) | undefined): Readable {
  if (!onProgress) return body
  return Readable.from(
    (async function* () {
      let sum = offset
      for await (const chunk of body as AsyncIterable<Buffer>) {
        yield chunk
        sum += chunk.length
        onProgress(sum)
      }
    })(),
    { objectMode: false },
  )
}

/** The first `length` bytes; the rest is not read. */
export function sliceOf(body: Readable, length: number): Readable {
  return Readable.from(
    (async function* () {
      let left = length
      for await (const chunk of body as AsyncIterable<Buffer>) {
        yield chunk.subarray(0, left)
        left -= chunk.length
        if (left <= 0) return
      }
    })(),
    { objectMode: false },
  )
}

/** A differ: layers that are compressed with xz, which no registry's client asks for and which are a third smaller. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { dataLoss, isGantryError } from '#api/errors/errors.ts'
import { defineDiffer } from '#sdk/define-differ.ts'
import { serve } from '#sdk/serve.ts'

/** What xz writes, as it comes. DATA_LOSS: it was no xz, or not all of it; what the source throws comes through. */
async function* decompressed(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const xz = spawn('xz', ['--decompress', '--stdout'], { stdio: ['pipe', 'pipe', 'pipe'] })
  const exit = once(xz, 'exit')
  let words = ''
  xz.stderr.on('data', (chunk: Buffer) => {
    words = (words + chunk).slice(-1024)
  })
  // An end of xz before that of its input is told by its exit code, and better.
  const feeding = pipeline(Readable.from(source), xz.stdin).catch((error: unknown) => error)
  try {
    yield* xz.stdout
    const failure = await feeding
    if (isGantryError(failure)) throw failure
    const [code] = await exit
    if (code !== 0) throw dataLoss(`xz: ${words.trim()}`)
  } finally {
    xz.kill()
  }
}

await serve(
  defineDiffer({
    id: 'xz',
    version: '1.0.0',
    mediaTypes: ['application/vnd.oci.image.layer.v1.tar+xz'],
    create: async () => ({ apply: async ({ digest }, { blob, unpack }) => await unpack(decompressed(blob(digest))) }),
  }),
)

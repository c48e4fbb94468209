/** Layers for a differ under test: tars, made on the spot, and encoded as its media type wants them. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { type Header, pack } from 'tar-stream'
import { invalidArgument } from '#api/errors/errors.ts'
import { layerCompression } from '#api/types/oci.ts'

export type Entry = Pick<Header, 'name'> & Partial<Header> & { readonly content?: string }

export const digestOf = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

/** Of the entries in their order; no time is told, so that the same entries are the same bytes. */
export async function tarOf(entries: readonly Entry[]): Promise<Buffer> {
  const archive = pack()
  for (const { content = '', ...header } of entries) archive.entry({ ...header, mtime: new Date(0) }, content)
  archive.finalize()
  return await buffer(archive)
}

/** From a tar to the bytes of a blob. */
export type Encode = (tar: Buffer) => Buffer

const maxLayerBytes = 64 * 1024 * 1024

/** `command`: a shell command from the tar to the blob, for a media type that is none of OCI's own. INVALID_ARGUMENT: there is none. */
export function encoderFor(mediaType: string, command: string | undefined): Encode {
  if (command !== undefined)
    return tar => execFileSync('/bin/sh', ['-c', command], { input: tar, maxBuffer: maxLayerBytes })
  const compression = layerCompression(mediaType)
  if (compression === 'gzip') return tar => gzipSync(tar)
  if (compression === 'zstd') return tar => zstdCompressSync(tar)
  if (compression === 'none') return tar => tar
  throw invalidArgument(`media type "${mediaType}": say with --encode by which command a tar becomes such a layer`)
}

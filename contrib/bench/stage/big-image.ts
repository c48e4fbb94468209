/**
 * An image of the size people pull, in six layers, of files of this host: they compress as files of images do. Its twin differs in the
 * last layer alone.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { lstatSync, readdirSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { type LayerBlob, type MadeImage, makeImage, makeLayer, sha256 } from '../../../test/fixtures/make-image.ts'

const layerCount = 6
const sources = ['/usr/bin', '/usr/lib', '/usr/share', '/usr/sbin', '/opt']
const largestFile = 16 * 2 ** 20
const run = promisify(execFile)

export interface BigImages {
  readonly image: MadeImage
  /** The same with another last layer. */
  readonly twin: MadeImage
  /** Uncompressed tars of the layers of `image`. */
  readonly tars: readonly string[]
}

/** Files in `folder`. Throws when the host has not enough of them. */
export async function makeBigImages(folder: string, mebibytes: number): Promise<BigImages> {
  const parts = chooseFiles((mebibytes * 2 ** 20) / layerCount)
  const layers: LayerBlob[] = []
  const tars: string[] = []
  for (const [at, files] of parts.entries()) {
    const tar = join(folder, `layer-${at}.tar`)
    const list = join(folder, `layer-${at}.files`)
    await writeFile(list, files.join('\0'))
    await run('tar', ['-C', '/', '--mtime=@1700000000', '--null', '-T', list, '-cf', tar])
    layers.push(await compressed(tar))
    tars.push(tar)
  }
  const change = [{ path: 'etc/changed', content: 'yes\n' }]
  const last = layers.at(-1) as LayerBlob
  const twinLast = makeLayer([
    ...change,
    { path: 'usr/changed', content: gunzipSync(last.bytes).subarray(0, last.size) },
  ])
  const options = { config: { Cmd: ['true'] }, flavor: 'docker' as const }
  return {
    image: makeImage({ layers, ...options }),
    twin: makeImage({ layers: [...layers.slice(0, -1), { ...twinLast, mediaType: last.mediaType }], ...options }),
    tars,
  }
}

/** gzip as a process: its output need not wait for this one. */
async function compressed(tar: string): Promise<LayerBlob> {
  await run('sh', ['-c', 'gzip -n -6 <"$0" >"$0.gz"', tar])
  const bytes = await readFile(`${tar}.gz`)
  const diffID = `sha256:${createHash('sha256')
    .update(await readFile(tar))
    .digest('hex')}`
  const mediaType = 'application/vnd.docker.image.rootfs.diff.tar.gzip'
  return { mediaType, bytes, digest: sha256(bytes), size: bytes.length, diffID }
}

/** Lists of paths without the leading slash, each of about that many bytes. */
function chooseFiles(bytesOfLayer: number): string[][] {
  const lists: string[][] = [[]]
  let size = 0
  for (const { path, bytes } of regularFiles()) {
    if (size >= bytesOfLayer) {
      if (lists.length === layerCount) return lists
      lists.push([])
      size = 0
    }
    lists.at(-1)?.push(path.slice(1))
    size += bytes
  }
  throw new Error(`this host has too few files in ${sources.join(', ')} for the image of the benchmark`)
}

function* regularFiles(): Generator<{ path: string; bytes: number }> {
  for (const source of sources)
    for (const entry of readdirSync(source, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue
      const path = join(entry.parentPath, entry.name)
      const bytes = lstatSync(path).size
      if (bytes <= largestFile) yield { path, bytes }
    }
}

import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isGantryError, notFound, notImplemented } from '#api/errors/errors.ts'
import { directTree, type Tree, withTree } from '#api/sys/layer-tree.ts'
import { type ApplyLayerRequest, applyLayer, type CreateLayerRequest, createLayer } from '#api/sys/sys.ts'
import { type DiffID, type Digest, parseDigest } from '#api/types/digest.ts'
import type { Mount } from '#api/types/mount.ts'
import { layerCompression, mediaTypes } from '#api/types/oci.ts'
import type { ContentStore } from '#core/content/content.ts'
import type { AppliedLayer, ApplyOptions, DiffOptions, Diffs, MadeLayer } from './diff.ts'
import { layerError } from './layer-errors.ts'

/** {@link Diffs} on this machine's kernel. */
export class LocalDiffs implements Diffs {
  readonly #content: ContentStore
  readonly #tempDir: string

  /** `tempDir`: an existing private folder, for mount points and archives in the making. */
  constructor(content: ContentStore, tempDir: string) {
    this.#content = content
    this.#tempDir = tempDir
  }

  canApply(mediaType: string): boolean {
    return layerCompression(mediaType) !== undefined
  }

  async apply(
    ns: string,
    { mediaType, digest }: { readonly mediaType: string; readonly digest: Digest },
    mounts: readonly Mount[],
    { sync = false, signal }: ApplyOptions = {},
  ): Promise<AppliedLayer> {
    const compression = layerCompression(mediaType)
    if (compression === undefined)
      throw notImplemented(`layer ${digest} has media type "${mediaType}", which cannot be unpacked`)
    await using blob = await this.#content.reader(ns, digest).catch(cause => {
      if (!isGantryError(cause, 'NOT_FOUND')) throw cause
      throw notFound(`failed to get reader from content store: content digest ${digest}`, { cause })
    })
    const source = blob.path
    try {
      return await withTree(mounts, this.#tempDir, async ({ path, format, lowers, userxattr }) => {
        // Media types lie now and then (Docker's registries carried plain tars as gzip): the bytes decide.
        const request: ApplyLayerRequest = { source, compression: 'auto', target: path, format, userxattr, sync }
        const applied = await applyLayer({ ...request, lowers: [...lowers] }, signal)
        return {
          diffID: parseDigest(applied.diffId),
          uncompressedBytes: applied.uncompressedBytes,
          entries: applied.entries,
        }
      })
    } catch (error) {
      throw layerError(`layer ${digest}`, directTree(mounts)?.path ?? this.#tempDir, error)
    }
  }

  async discard(mounts: readonly Mount[]): Promise<void> {
    const tree = directTree(mounts)
    if (tree === undefined) return
    for (const name of await readdir(tree.path)) await rm(join(tree.path, name), { recursive: true, force: true })
  }

  async diff(
    ns: string,
    left: readonly Mount[],
    right: readonly Mount[],
    { mediaType = mediaTypes.ociLayerGzip, ref, labels = {}, latestSeconds, lease, signal }: DiffOptions = {},
  ): Promise<MadeLayer> {
    const compression = layerCompression(mediaType)
    if (compression === undefined) throw notImplemented(`unsupported diff media type: ${mediaType}`)
    const name = randomBytes(8).toString('hex')
    const output = join(this.#tempDir, `layer-${name}`)
    await using undo = new AsyncDisposableStack()
    undo.defer(() => rm(output, { force: true }))
    const latest = latestSeconds === undefined ? {} : { latestSeconds }
    const made = await this.#create(left, right, { output, compression, ...latest }, signal)
    const [digest, diffID] = [parseDigest(made.digest), parseDigest(made.diffId)]
    const all = { ...labels, 'containerd.io/uncompressed': diffID }
    await this.#store(ns, output, { ref: ref || `diff-${name}`, digest, sizeBytes: made.sizeBytes, lease, labels: all })
    return { mediaType, digest, sizeBytes: made.sizeBytes, diffID }
  }

  /** An overlay's upper directory is the difference already; other trees are compared. */
  async #create(
    left: readonly Mount[],
    right: readonly Mount[],
    output: Pick<CreateLayerRequest, 'output' | 'compression' | 'latestSeconds'>,
    signal: AbortSignal | undefined,
  ) {
    try {
      const upper = directTree(right)
      if (upper?.format === 'overlay' && sameTree(left, upper))
        return await createLayer(
          { upper: upper.path, lowers: [...upper.lowers], mode: 'overlay', userxattr: upper.userxattr, ...output },
          signal,
        )
      return await withTree(right, this.#tempDir, changed =>
        left.length === 0
          ? createLayer({ upper: changed.path, mode: 'diff', ...output }, signal)
          : withTree(left, this.#tempDir, base =>
              createLayer({ upper: changed.path, mode: 'diff', lower: base.path, ...output }, signal),
            ),
      )
    } catch (error) {
      throw layerError('layer', output.output, error)
    }
  }

  async #store(
    ns: string,
    file: string,
    {
      ref,
      digest,
      sizeBytes,
      lease,
      labels,
    }: {
      ref: string
      digest: DiffID
      sizeBytes: number
      lease: string | undefined
      labels: Record<string, string>
    },
  ): Promise<void> {
    try {
      await using writer = await this.#content.writer(ns, { ref, expected: digest, totalBytes: sizeBytes, lease })
      if (writer.offset > 0 && writer.offset < sizeBytes) await writer.truncate(0)
      if (writer.offset === 0) for await (const chunk of createReadStream(file)) await writer.write(chunk)
      await writer.commit({ sizeBytes, expected: digest, labels })
    } catch (error) {
      if (!isGantryError(error, 'ALREADY_EXISTS')) throw error
      await this.#content.update(
        ns,
        { digest, labels },
        Object.keys(labels).map(key => `labels.${key}`),
      )
    }
  }
}

/** True when the mounts on the left show exactly what lies below the upper directory on the right. */
function sameTree(left: readonly Mount[], { lowers }: Tree): boolean {
  const [only] = left
  if (left.length !== 1 || only === undefined) return false
  const bind = only.options.some(option => option === 'bind' || option === 'rbind')
  if (bind) return lowers.length === 1 && lowers[0] === only.source
  const lowerdir = only.options.find(option => option.startsWith('lowerdir='))?.slice('lowerdir='.length)
  return (
    only.type === 'overlay' &&
    lowerdir === lowers.join(':') &&
    !only.options.some(option => option.startsWith('upperdir='))
  )
}

/**
 * Checkpoints of running tasks, as containerd stores them: what the runtime wrote (CRIU's images) as one tar in the content
 * store, and the container's spec beside it. A client makes an image of both; creating a task with the first restores it.
 */
import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { invalidArgument, isGantryError } from '#api/errors/errors.ts'
import { CheckpointOptions } from '#api/gen/containerd/runc/v1/options.ts'
import type { Descriptor } from '#api/gen/containerd/types/descriptor.ts'
import { Any } from '#api/gen/google/protobuf/any.ts'
import { applyLayer, createLayer } from '#api/sys/sys.ts'
import { parseDigest, sha256Digest } from '#api/types/digest.ts'
import type { Container } from '#core/containers/containers.ts'
import type { ContentStore } from '#core/content/content.ts'
import type { Task } from './tasks.ts'

/** containerd's media types. */
const checkpointType = 'application/vnd.containerd.container.criu.checkpoint.criu.tar'
const configType = 'application/vnd.containerd.container.checkpoint.config.v1+proto'

export interface CheckpointParts {
  content: ContentStore
  /** An existing private folder. */
  tempDir: string
}

export interface CheckpointWish {
  options: Any | undefined
  lease: string | undefined
}

/**
 * Asks the shim for a checkpoint and answers what became of it: two blobs, or nothing when the options name a folder that
 * it shall stay in. What the runtime refuses comes through.
 */
export async function checkpointTask(
  { content, tempDir }: CheckpointParts,
  task: Task,
  container: Container,
  { options, lease }: CheckpointWish,
): Promise<Descriptor[]> {
  const ownFolder = imagePathOf(options)
  if (ownFolder !== '') {
    await task.shim.checkpoint({ id: task.id, path: ownFolder, options })
    return []
  }
  await using folder = await temporaryFolder(tempDir)
  const images = join(folder.path, 'images')
  await mkdir(images, { mode: 0o700 })
  await task.shim.checkpoint({ id: task.id, path: images, options })
  const output = join(folder.path, 'tar')
  const { digest } = await createLayer({ upper: images, mode: 'diff', output, compression: 'none' })
  const store = new Blobs(content, task.namespace, lease)
  const spec = Any.encode(container.spec).finish()
  return [
    await store.write(checkpointType, digest, createReadStream(output)),
    await store.write(configType, sha256Digest(spec), [Buffer.from(spec)]),
  ]
}

/**
 * Writes a checkpoint's images into `folder`, which is made: a runtime reads them when the task is started.
 * INVALID_ARGUMENT for a blob of another type; NOT_FOUND.
 */
export async function unpackCheckpoint(
  content: ContentStore,
  ns: string,
  { mediaType, digest }: Descriptor,
  folder: string,
): Promise<void> {
  if (mediaType !== checkpointType) throw invalidArgument(`unsupported checkpoint type "${mediaType}"`)
  await using blob = await content.reader(ns, parseDigest(digest))
  await mkdir(folder, { mode: 0o700 })
  await applyLayer({ source: blob.path, target: folder, format: 'plain' })
}

function imagePathOf(options: Any | undefined): string {
  return options?.typeUrl === 'containerd.runc.v1.CheckpointOptions'
    ? CheckpointOptions.decode(options.value).imagePath
    : ''
}

async function temporaryFolder(parent: string): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(parent, 'checkpoint-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

class Blobs {
  readonly #content: ContentStore
  readonly #ns: string
  readonly #lease: string | undefined

  constructor(content: ContentStore, ns: string, lease: string | undefined) {
    this.#content = content
    this.#ns = ns
    this.#lease = lease
  }

  async write(mediaType: string, hash: string, bytes: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<Descriptor> {
    const digest = parseDigest(hash)
    const ref = `checkpoint-${randomBytes(8).toString('hex')}`
    try {
      await using writer = await this.#content.writer(this.#ns, { ref, expected: digest, lease: this.#lease })
      for await (const chunk of bytes) await writer.write(chunk)
      await writer.commit({ expected: digest })
    } catch (error) {
      if (!isGantryError(error, 'ALREADY_EXISTS')) throw error
    }
    const { sizeBytes } = await this.#content.info(this.#ns, digest)
    return { mediaType, digest, size: BigInt(sizeBytes), annotations: {} }
  }
}

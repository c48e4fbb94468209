/** {@link Transfers} and {@link Unpacker} of this daemon: what verbs share is made once, here. */
import type { Writable } from 'node:stream'
import { canceled, isGantryError } from '#api/errors/errors.ts'
import type { Descriptor, Image } from '#core/images/images.ts'
import type { TransferConfig, TransferParts } from './context.ts'
import { exportArchive } from './export-archive.ts'
import { ImageUnpacker } from './image-unpacker.ts'
import { importArchive } from './import-archive.ts'
import { LayerUnpacker } from './layer-unpacker.ts'
import { Limiter } from './limiter.ts'
import { type PullParts, pull } from './pull.ts'
import { type PushParts, push } from './push.ts'
import { SingleFlight } from './single-flight.ts'
import { tag } from './tag.ts'
import type {
  ExportOptions,
  RegistryImage,
  StoredImage,
  TransferContext,
  Transfers,
  UnpackedImage,
  Unpacker,
  UnpackOptions,
} from './transfer.ts'

export class LocalTransfers implements Transfers, Unpacker {
  readonly #parts: PullParts & PushParts

  constructor(parts: TransferParts, config: TransferConfig) {
    this.#parts = {
      ...parts,
      config,
      unpacker: new ImageUnpacker(parts, new LayerUnpacker(parts, config)),
      downloads: new Limiter(config.maxDownloads ?? 3),
      uploads: new Limiter(config.maxUploads ?? 3),
      flights: new SingleFlight<void>(),
    }
  }

  ensureUnpacked(namespace: string, target: Descriptor, options: UnpackOptions): Promise<UnpackedImage> {
    return this.#parts.unpacker.ensureUnpacked(namespace, target, options)
  }

  pull(from: RegistryImage, to: StoredImage, context: TransferContext): Promise<Image[]> {
    return cancellable(`pull of "${from.reference}"`, context, () => pull(this.#parts, from, to, context))
  }

  push(from: StoredImage, to: RegistryImage, context: TransferContext): Promise<void> {
    return cancellable(`push to "${to.reference}"`, context, () => push(this.#parts, from, to, context))
  }

  tag(from: string, to: StoredImage, context: TransferContext): Promise<Image[]> {
    return tag(this.#parts, from, to, context)
  }

  importArchive(
    archive: AsyncIterable<Uint8Array>,
    to: StoredImage,
    context: TransferContext & { forceCompress?: boolean },
  ): Promise<Image[]> {
    return cancellable('import', context, () => importArchive(this.#parts, archive, to, context))
  }

  exportArchive(archive: Writable, options: ExportOptions, context: TransferContext): Promise<void> {
    return cancellable('export', context, () => exportArchive(this.#parts, archive, options, context))
  }
}

/** Whatever an aborted transfer fails with, it is CANCELED. */
async function cancellable<T>(what: string, { signal }: TransferContext, body: () => Promise<T>): Promise<T> {
  try {
    return await body()
  } catch (error) {
    if (!signal.aborted || isGantryError(error, 'CANCELED')) throw error
    throw canceled(what, { cause: error })
  }
}

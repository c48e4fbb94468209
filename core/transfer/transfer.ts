/**
 * Transfer: images move between registries, archives and the image store, inside the daemon.
 *
 * The wire is containerd's (`containerd.services.transfer.v1`, with `streaming.v1` for progress, credentials and
 * archives): a pull is OCIRegistry → ImageStore, a push the reverse, import and export go through streams,
 * ImageStore → ImageStore is a tag. `service.ts` turns the types of the wire into the verbs of {@link Transfers}.
 *
 * ## A pull, step by step
 * 1. A lease is made; every write below names it. It expires by itself if we die.
 * 2. The reference is resolved to a descriptor; index → manifests of the platforms asked for → config and layers.
 * 3. Blobs are downloaded side by side, a bounded number for the whole daemon, into ingests that a later attempt
 *    resumes. The same blob asked for twice in one tenant namespace is downloaded once.
 * 4. With an unpack asked for, layer *k* is applied as soon as it is here and layer *k-1* is committed, while later
 *    layers still download. Each result is a snapshot named by its chainID.
 * 5. Labels tie config to snapshots and manifests to blobs; then the image record is written; then the lease goes.
 *
 * Whatever fails before the record leaves nothing visible: no image, and blobs and snapshots that only a lease
 * held, which garbage collection takes. Ingests of interrupted downloads stay for the next attempt (24 h).
 */
import type { Writable } from 'node:stream'
import type { ChainID, DiffID } from '#api/types/digest.ts'
import type { OciDescriptor } from '#api/types/oci.ts'
import type { Platform } from '#api/types/platform.ts'
import type { Descriptor, Image } from '#core/images/images.ts'
import type { Credentials } from '#core/remotes/remotes.ts'

export type { TransferConfig, TransferParts } from './context.ts'
export { LocalTransfers } from './local-transfers.ts'
export { transferService } from './service.ts'

/** One image, ready to run: what {@link Unpacker.ensureUnpacked} answers. */
export interface UnpackedImage {
  /** Manifest that matched the platform. */
  readonly manifest: OciDescriptor
  /** Image configuration; its bytes are in the content store. */
  readonly config: OciDescriptor
  readonly diffIDs: readonly DiffID[]
  /** Name of the committed snapshot to prepare a container's root on; empty for an image without layers. */
  readonly chainID: ChainID | ''
}

export interface UnpackOptions {
  /** Name of a configured snapshotter. */
  readonly snapshotter: string
  /** Default: the host's. */
  readonly platform?: Platform | undefined
  /** Lease that is to hold the snapshots; without one, one is made for the call. */
  readonly lease?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** Turns stored images into snapshots. */
export interface Unpacker {
  /**
   * Makes sure that the layers of a stored image are unpacked. Cheap when they are: one `stat` after the first time.
   * Concurrent calls for the same layers share the work. The snapshots are kept by a label of the config blob
   * (`containerd.io/gc.ref.snapshot.<snapshotter>`), so as long as the image record stays.
   *
   * NOT_FOUND: a blob is not here, or the index has no manifest for the platform. INVALID_ARGUMENT: not an image we
   * can read (schema 1, unknown layer type, an archive that reaches outside its root). DATA_LOSS: a layer that does
   * not decompress. FAILED_PRECONDITION: a layer's diffID is not the configuration's. RESOURCE_EXHAUSTED: disk full.
   */
  ensureUnpacked(namespace: string, target: Descriptor, options: UnpackOptions): Promise<UnpackedImage>
}

/** How far a transfer has come; events and names are containerd's (`core/transfer/local`). */
export interface Progress {
  readonly event: string
  readonly name?: string
  readonly parents?: readonly string[]
  readonly progress?: number
  readonly total?: number
  readonly descriptor?: OciDescriptor
}

export type ProgressSink = (progress: Progress) => void

/** How a verb of {@link Transfers} may be adorned. */
export interface TransferContext {
  readonly namespace: string
  /** The caller's lease; without one the transfer makes its own and removes it at the end. */
  readonly lease?: string | undefined
  readonly signal: AbortSignal
  readonly onProgress?: ProgressSink | undefined
}

/** An image in a registry, and how to get at it. */
export interface RegistryImage {
  readonly reference: string
  readonly credentials?: ((host: string, challenges: readonly string[]) => Promise<Credentials | undefined>) | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly hostDir?: string | undefined
  readonly defaultScheme?: 'http' | 'https' | undefined
}

/** A further name for an image: `containerd.types.transfer.ImageReference`. */
export interface ExtraReference {
  readonly name: string
  readonly isPrefix: boolean
  readonly allowOverwrite: boolean
  readonly addDigest: boolean
  readonly skipNamedDigest: boolean
}

/** The image store as a destination: `containerd.types.transfer.ImageStore`. */
export interface StoredImage {
  /** Empty on an import: the archive's own names are used. */
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  /** None: all of them. A client that wants its own host's says so. */
  readonly platforms: readonly Platform[]
  readonly allMetadata: boolean
  readonly manifestLimit: number
  readonly extraReferences: readonly ExtraReference[]
  readonly unpacks: readonly { readonly snapshotter: string; readonly platform?: Platform | undefined }[]
}

export interface ExportOptions {
  readonly names: readonly string[]
  readonly platforms: readonly Platform[]
  readonly allPlatforms: boolean
  readonly skipDockerManifest: boolean
  readonly skipNonDistributable: boolean
}

/** The verbs. All end early when `signal` fires, and clean up first. */
export interface Transfers {
  /** NOT_FOUND, UNAUTHENTICATED, PERMISSION_DENIED, UNAVAILABLE … as the registry says; else as {@link Unpacker}. */
  pull(from: RegistryImage, to: StoredImage, context: TransferContext): Promise<Image[]>
  /** NOT_FOUND for the image or a blob of it that is not here. */
  push(from: StoredImage, to: RegistryImage, context: TransferContext): Promise<void>
  /**
   * An OCI layout or docker-archive tar, also gzip or zstd compressed; its chunks need to be valid only until the next is asked for.
   * INVALID_ARGUMENT for anything else.
   */
  importArchive(
    archive: AsyncIterable<Uint8Array>,
    to: StoredImage,
    context: TransferContext & { forceCompress?: boolean },
  ): Promise<Image[]>
  /** Writes an OCI layout tar, with docker-archive's manifest.json; ends `archive`. */
  exportArchive(archive: Writable, options: ExportOptions, context: TransferContext): Promise<void>
  /** Gives an image another name; replaces an image that had it. NOT_FOUND. */
  tag(from: string, to: StoredImage, context: TransferContext): Promise<Image[]>
}

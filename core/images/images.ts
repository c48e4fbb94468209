/**
 * Images: names that point at content.
 *
 * An image is a record: a name unique in its tenant namespace, and a *target*, the descriptor of a manifest or
 * index. It says nothing about whether that content is here; the content service does. The record keeps its
 * target from garbage collection, and the target's labels `containerd.io/gc.ref.*` keep the rest.
 * With the label `containerd.io/gc.expire` (RFC 3339) in the past, the record itself may be collected.
 */
import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'

/** A content-addressed pointer: OCI image specification, descriptor.md. */
export interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: bigint
  readonly annotations: Readonly<Record<string, string>>
}

export interface Image {
  /** By custom a full reference: `registry.example/library/busybox:1.36`. */
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly target: Descriptor
  readonly createdAt: Timestamp
  readonly updatedAt: Timestamp
}

/** What a caller says of an image; times are the store's. */
export interface ImageSpec {
  readonly name: string
  readonly labels?: Readonly<Record<string, string>>
  readonly target: Descriptor
}

export interface Images {
  /** NOT_FOUND. */
  get(ns: string, name: string): Promise<Image>

  /** Images that match one of `filters` (`name`, `target.digest`, `target.mediatype`, `labels`, `annotations`), by name. */
  list(ns: string, filters?: readonly string[]): Promise<Image[]>

  /**
   * Stores a new record; `at` replaces the present time (SOURCE_DATE_EPOCH). With `lease` the lease holds it, atomically.
   * ALREADY_EXISTS; INVALID_ARGUMENT without a name, or for a target without digest, size or media type.
   */
  create(
    ns: string,
    image: ImageSpec,
    options?: { at?: Timestamp | undefined; lease?: string | undefined },
  ): Promise<Image>

  /**
   * Changes a record: `labels`, `labels.<key>`, `target`, `annotations`, `annotations.<key>` in `fieldPaths`; none
   * means labels and target. NOT_FOUND; INVALID_ARGUMENT for another path.
   */
  update(
    ns: string,
    image: ImageSpec,
    fieldPaths?: readonly string[],
    options?: { at?: Timestamp | undefined; lease?: string | undefined },
  ): Promise<Image>

  /**
   * Removes a record, and takes it out of the lease; with `target` only while it points there. `sync` waits for the
   * collection that follows. NOT_FOUND, also when the target is another one.
   */
  delete(
    ns: string,
    name: string,
    options?: { sync?: boolean; target?: { digest: string }; lease?: string | undefined },
  ): Promise<void>
}

export { ImageStore } from './image-store.ts'
export { imagesService } from './service.ts'
